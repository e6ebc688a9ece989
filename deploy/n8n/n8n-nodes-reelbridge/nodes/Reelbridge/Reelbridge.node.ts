import {
	NodeApiError,
	NodeConnectionTypes,
	WAIT_INDEFINITELY,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
	type IWebhookFunctions,
	type IWebhookResponseData,
	type JsonObject,
} from 'n8n-workflow';

// Its webhook resumes an execution that waits; `execute` registers it, so that there is nothing to do when a workflow is activated.
// eslint-disable-next-line @n8n/community-nodes/webhook-lifecycle-complete
export class Reelbridge implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Reelbridge',
		name: 'reelbridge',
		icon: { light: 'file:../../icons/reelbridge.light.svg', dark: 'file:../../icons/reelbridge.dark.svg' },
		group: ['transform'],
		version: 1,
		subtitle: '=wait: {{$parameter["kind"]}}',
		description: 'Wait until a ReelMirror or ReelBot job has ended',
		defaults: { name: 'Reelbridge' },
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		usableAsTool: true,
		credentials: [{ name: 'reelbridgeApi', required: true }],
		webhooks: [{ name: 'default', httpMethod: 'POST', responseMode: 'onReceived', path: '', restartWebhook: true }],
		properties: [
			{
				displayName: 'Kind of Job',
				name: 'kind',
				type: 'options',
				options: [
					{ name: 'Generated Media Item', value: 'generated_media_item' },
					{ name: 'Generated Post', value: 'generated_post' },
					{ name: 'Outgoing Post', value: 'outgoing_post' },
					{ name: 'ReelBot Video', value: 'reelbot_video' },
					{ name: 'Sync', value: 'sync_job' },
					{ name: 'Voice Conversion', value: 'voice_conversion' },
				],
				default: 'sync_job',
			},
			{
				displayName: 'Job ID',
				name: 'jobId',
				type: 'string',
				default: '',
				required: true,
				description: 'The ID that the call which started the job returned; an execution waits for one job',
			},
		],
	};

	async webhook(this: IWebhookFunctions): Promise<IWebhookResponseData> {
		return { workflowData: [[{ json: this.getBodyData() }]] };
	}

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		const { url } = await this.getCredentials<{ url: string }>('reelbridgeApi');
		try {
			await this.helpers.httpRequestWithAuthentication.call(this, 'reelbridgeApi', {
				method: 'POST',
				baseURL: url,
				url: '/v1/callbacks',
				json: true,
				body: {
					kind: this.getNodeParameter('kind', 0),
					id: this.getNodeParameter('jobId', 0),
					callback_url: this.evaluateExpression('{{$execution.resumeUrl}}', 0),
					late: false, // the next wait of the execution has the same URL and would take the second event for its own
				},
			});
		} catch (error) {
			throw new NodeApiError(this.getNode(), error as JsonObject);
		}
		await this.putExecutionToWait(WAIT_INDEFINITELY);
		return [this.getInputData()];
	}
}

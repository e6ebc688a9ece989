import {
	NodeConnectionTypes,
	type IHookFunctions,
	type IHttpRequestMethods,
	type INodeType,
	type INodeTypeDescription,
	type IWebhookFunctions,
	type IWebhookResponseData,
} from 'n8n-workflow';

type Endpoint = { id: string; url: string; enabled: boolean };

async function call<T>(context: IHookFunctions, method: IHttpRequestMethods, path: string, body?: object): Promise<T> {
	const { url } = await context.getCredentials<{ url: string }>('reelbridgeApi');
	return (await context.helpers.httpRequestWithAuthentication.call(context, 'reelbridgeApi', {
		method,
		baseURL: url,
		url: path,
		json: true,
		...(body ? { body } : {}),
	})) as T;
}

export class ReelbridgeTrigger implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Reelbridge Trigger',
		name: 'reelbridgeTrigger',
		icon: { light: 'file:../../icons/reelbridge.light.svg', dark: 'file:../../icons/reelbridge.dark.svg' },
		group: ['trigger'],
		version: 1,
		subtitle: '={{$parameter["events"] || "every ending"}}',
		description: 'Starts the workflow when a job has ended',
		defaults: { name: 'Reelbridge Trigger' },
		inputs: [],
		outputs: [NodeConnectionTypes.Main],
		credentials: [{ name: 'reelbridgeApi', required: true }],
		webhooks: [{ name: 'default', httpMethod: 'POST', responseMode: 'onReceived', path: 'webhook' }],
		properties: [
			{
				displayName: 'Events',
				name: 'events',
				type: 'string',
				default: '',
				placeholder: 'sync_job.*, failed',
				description: 'Types, patterns or states, separated by commas; empty for every ending',
			},
		],
	};

	webhookMethods = {
		default: {
			async checkExists(this: IHookFunctions): Promise<boolean> {
				const own = this.getNodeWebhookUrl('default');
				const { data } = await call<{ data: Endpoint[] }>(this, 'GET', '/v1/endpoints?limit=100');
				const known = data.find(({ url }) => url === own);
				this.getWorkflowStaticData('node').endpointId = known?.id;
				// An n8n that was away for days comes back to an endpoint that the bridge has disabled.
				if (known?.enabled === false) await call(this, 'PATCH', `/v1/endpoints/${known.id}`, { enabled: true });
				return known !== undefined;
			},
			async create(this: IHookFunctions): Promise<boolean> {
				const events = this.getNodeParameter('events') as string;
				const made = await call<Endpoint>(this, 'POST', '/v1/endpoints', {
					url: this.getNodeWebhookUrl('default'),
					description: 'n8n',
					...(events ? { events } : {}),
				});
				this.getWorkflowStaticData('node').endpointId = made.id;
				return true;
			},
			async delete(this: IHookFunctions): Promise<boolean> {
				const data = this.getWorkflowStaticData('node');
				if (data.endpointId) await call(this, 'DELETE', `/v1/endpoints/${String(data.endpointId)}`);
				delete data.endpointId;
				return true;
			},
		},
	};

	async webhook(this: IWebhookFunctions): Promise<IWebhookResponseData> {
		return { workflowData: [this.helpers.returnJsonArray(this.getBodyData())] };
	}
}

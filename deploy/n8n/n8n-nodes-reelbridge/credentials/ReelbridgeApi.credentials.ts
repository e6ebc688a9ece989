import type { IAuthenticateGeneric, Icon, ICredentialTestRequest, ICredentialType, INodeProperties } from 'n8n-workflow';

export class ReelbridgeApi implements ICredentialType {
	name = 'reelbridgeApi';

	displayName = 'Reelbridge API';

	icon: Icon = { light: 'file:../icons/reelbridge.light.svg', dark: 'file:../icons/reelbridge.dark.svg' };

	documentationUrl = 'https://reelbridge.example/docs/nocode/n8n';

	properties: INodeProperties[] = [
		{
			displayName: 'Address',
			name: 'url',
			type: 'string',
			default: '',
			placeholder: 'https://bridge.example.com',
			required: true,
		},
		{
			displayName: 'API Key',
			name: 'apiKey',
			type: 'string',
			typeOptions: { password: true },
			default: '',
			required: true,
		},
	];

	authenticate: IAuthenticateGeneric = {
		type: 'generic',
		properties: { headers: { Authorization: '=Bearer {{$credentials.apiKey}}' } },
	};

	test: ICredentialTestRequest = { request: { baseURL: '={{$credentials.url}}', url: '/v1/me' } };
}

import { inputError } from '../../src/errors.ts';
import type { Account, CloudEnvironment } from '../../src/model/account.ts';

/** Where one Azure cloud answers. Every address is https; there is no way to switch verification off. */
export interface CloudEndpoints {
  readonly resourceManagerUrl: string;
  readonly authorityUrl: string;
  /** What a token is asked for. */
  readonly scope: string;
  /** Set for a cloud whose certificates come from an authority of its own. */
  readonly caPem?: string;
  /** Only Microsoft's own clouds can be looked up in its list of clouds. */
  readonly listedByMicrosoft: boolean;
}

const MICROSOFT_CLOUDS: Readonly<Record<Exclude<CloudEnvironment, 'custom'>, CloudEndpoints>> = {
  public: {
    resourceManagerUrl: 'https://management.azure.com',
    authorityUrl: 'https://login.microsoftonline.com',
    scope: 'https://management.azure.com/.default',
    listedByMicrosoft: true,
  },
  'us-government': {
    resourceManagerUrl: 'https://management.usgovcloudapi.net',
    authorityUrl: 'https://login.microsoftonline.us',
    scope: 'https://management.usgovcloudapi.net/.default',
    listedByMicrosoft: true,
  },
  china: {
    resourceManagerUrl: 'https://management.chinacloudapi.cn',
    authorityUrl: 'https://login.chinacloudapi.cn',
    scope: 'https://management.chinacloudapi.cn/.default',
    listedByMicrosoft: true,
  },
};

export function endpointsOf(account: Pick<Account, 'environment' | 'custom'>): CloudEndpoints {
  if (account.environment !== 'custom') return MICROSOFT_CLOUDS[account.environment];
  if (!account.custom) {
    throw inputError(
      'CUSTOM_CLOUD_MISSING',
      'The account says `custom` but names no cloud.',
      'Give the URLs of its resource manager and its authority.',
    );
  }
  return {
    resourceManagerUrl: httpsUrl(account.custom.resourceManagerUrl, 'resource manager'),
    authorityUrl: httpsUrl(account.custom.authorityUrl, 'authority'),
    // The resource manager's audience is the same word in every cloud that copies Azure's API.
    scope: MICROSOFT_CLOUDS.public.scope,
    ...(account.custom.caPem === undefined ? {} : { caPem: account.custom.caPem }),
    listedByMicrosoft: false,
  };
}

function httpsUrl(text: string, role: string): string {
  const url = URL.parse(text);
  if (url?.protocol !== 'https:') {
    throw inputError(
      'URL_NOT_HTTPS',
      `The ${role}'s URL must begin with https://, and "${text}" does not.`,
      'Give an https URL; a certificate authority of your own is named with its CA file.',
    );
  }
  return url.href.replace(/\/+$/, '');
}

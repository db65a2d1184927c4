import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LocalEndpoint } from '../../infra/local/local-azure.ts';
import { type Place, run } from './commands.ts';

export function endpointOf(control: Place): LocalEndpoint {
  return JSON.parse(readFileSync(join(control.home, 'local-azure/endpoint.json'), 'utf8'));
}

/** Local Azure is up, and its account is registered. By the commands. */
export async function registered(control: Place, account: string): Promise<LocalEndpoint> {
  await run(['local', 'up', '--latency', 'none'], control);
  const endpoint = endpointOf(control);
  const { url, authorityUrl, caFile, subscriptionId, tenantId, applicationId, clientSecret } = endpoint;
  await run(
    [
      ...['account', 'add', '--yes', '--name', account, '--environment', 'custom'],
      ...['--resource-manager-url', url, '--authority-url', authorityUrl, '--ca-file', caFile],
      ...['--subscription-id', subscriptionId, '--tenant-id', tenantId],
      ...['--application-id', applicationId, '--client-secret-stdin'],
    ],
    { ...control, input: clientSecret },
  );
  return endpoint;
}

/** And the appliance `gate` stands behind a port that is open for this machine. */
export async function deployed(control: Place, account: string, resourceGroup: string): Promise<void> {
  const { location } = await registered(control, account);
  const network = ['--virtual-network', `${resourceGroup}/standby-vnet`, '--subnet', 'appliance'];
  await run(
    [
      ...['appliance', 'deploy', '--yes', '--name', 'gate', '--account', account, '--region', location],
      ...['--resource-group', resourceGroup, ...network],
    ],
    control,
  );
  await run(['appliance', 'open-port', 'gate', '--source-prefix', '127.0.0.1/32', '--yes'], control);
  await run(['appliance', 'check', 'gate'], control);
}

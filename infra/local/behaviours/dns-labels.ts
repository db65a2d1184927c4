import { ArmError } from '../arm/arm-error.ts';
import type { ProviderRoute } from '../arm/behaviour.ts';
import { textAt } from '../arm/json.ts';
import { NETWORK_VERSIONS } from './api-versions.ts';
import { fqdnOf } from './public-ip-addresses.ts';
import { TYPES } from './references.ts';

/** Whether a label for a public IP's name is free in a region: taken by those that are here, and by nobody else. */
export const dnsLabels: ProviderRoute = {
  method: 'GET',
  path: 'Microsoft.Network/locations/{location}/CheckDnsNameAvailability',
  apiVersions: NETWORK_VERSIONS,
  action: 'Microsoft.Network/locations/checkDnsNameAvailability/read',
  answer(context, ask) {
    const location = ask.params.location ?? '';
    const label = ask.query.get('domainnamelabel') ?? '';
    if (!/^[a-z][a-z0-9-]{1,61}[a-z0-9]$/.test(label)) {
      throw new ArmError(
        400,
        'InvalidDomainNameLabel',
        `The domain name label ${label} is invalid. It must conform to the following regular expression: ` +
          '^[a-z][a-z0-9-]{1,61}[a-z0-9]$.',
      );
    }
    const isTaken = context.graph
      .list(TYPES.publicIp, { location })
      .some((each) => textAt(each.properties, 'dnsSettings.fqdn') === fqdnOf(label, location));
    return { body: { available: !isTaken } };
  },
};

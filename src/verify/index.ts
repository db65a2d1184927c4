import type { Check } from './check.ts';
import { applianceEngine } from './checks/appliance-engine.ts';
import { applianceLuns } from './checks/appliance-luns.ts';
import { appliancePlace } from './checks/appliance-place.ts';
import { applianceReachable } from './checks/appliance-reachable.ts';
import { applianceRunning } from './checks/appliance-running.ts';
import { applianceSpace } from './checks/appliance-space.ts';
import { applianceSpeed } from './checks/appliance-speed.ts';
import { bookmarks } from './checks/bookmarks.ts';
import { capture } from './checks/capture.ts';
import { clientSecret } from './checks/client-secret.ts';
import { cost } from './checks/cost.ts';
import { disks } from './checks/disks.ts';
import { dnsServers } from './checks/dns-servers.ts';
import { drill } from './checks/drill.ts';
import { fixedChoices } from './checks/fixed-choices.ts';
import { guestName } from './checks/guest-name.ts';
import { ladder } from './checks/ladder.ts';
import { leftovers } from './checks/leftovers.ts';
import { locks } from './checks/locks.ts';
import { macAddresses } from './checks/mac-addresses.ts';
import { master } from './checks/master.ts';
import { masterNotices } from './checks/master-notices.ts';
import { network } from './checks/network.ts';
import { openPorts } from './checks/open-ports.ts';
import { permissions } from './checks/permissions.ts';
import { policies } from './checks/policies.ts';
import { proof } from './checks/proof.ts';
import { providers } from './checks/providers.ts';
import { quota } from './checks/quota.ts';
import { readiness } from './checks/readiness.ts';
import { redirect } from './checks/redirect.ts';
import { replication } from './checks/replication.ts';
import { resourceNames } from './checks/resource-names.ts';
import { routes } from './checks/routes.ts';
import { scenarioClash } from './checks/scenario-clash.ts';
import { securityGroup } from './checks/security-group.ts';
import { sizeFit } from './checks/size-fit.ts';
import { staticAddress } from './checks/static-address.ts';
import { subnetSpace } from './checks/subnet-space.ts';
import { vmName } from './checks/vm-name.ts';
import { vmSize } from './checks/vm-size.ts';
import { volumes } from './checks/volumes.ts';

/** Every check, in the order in which people read the verdicts. */
export const CHECKS: readonly Check[] = [
  clientSecret,
  permissions,
  providers,
  locks,
  policies,
  fixedChoices,
  master,
  masterNotices,
  disks,
  volumes,
  vmSize,
  sizeFit,
  quota,
  ladder,
  network,
  subnetSpace,
  staticAddress,
  securityGroup,
  openPorts,
  dnsServers,
  macAddresses,
  routes,
  applianceReachable,
  scenarioClash,
  vmName,
  guestName,
  resourceNames,
  leftovers,
  appliancePlace,
  applianceRunning,
  applianceEngine,
  applianceLuns,
  applianceSpace,
  applianceSpeed,
  capture,
  replication,
  bookmarks,
  proof,
  readiness,
  drill,
  redirect,
  cost,
];

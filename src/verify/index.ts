import type { Check } from './check.ts';
import { applianceLuns } from './checks/appliance-luns.ts';
import { appliancePlace } from './checks/appliance-place.ts';
import { applianceRunning } from './checks/appliance-running.ts';
import { clientSecret } from './checks/client-secret.ts';
import { disks } from './checks/disks.ts';
import { fixedChoices } from './checks/fixed-choices.ts';
import { master } from './checks/master.ts';
import { network } from './checks/network.ts';
import { quota } from './checks/quota.ts';
import { resourceNames } from './checks/resource-names.ts';
import { scenarioClash } from './checks/scenario-clash.ts';
import { securityGroup } from './checks/security-group.ts';
import { sizeFit } from './checks/size-fit.ts';
import { staticAddress } from './checks/static-address.ts';
import { vmName } from './checks/vm-name.ts';
import { vmSize } from './checks/vm-size.ts';
import { volumes } from './checks/volumes.ts';

/** Every check, in the order in which people read the verdicts. */
export const CHECKS: readonly Check[] = [
  fixedChoices,
  clientSecret,
  master,
  disks,
  volumes,
  appliancePlace,
  applianceRunning,
  applianceLuns,
  vmName,
  resourceNames,
  vmSize,
  sizeFit,
  quota,
  network,
  staticAddress,
  securityGroup,
  scenarioClash,
];

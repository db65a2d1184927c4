import { NICS_MAX, nicAnswer } from '../control/scenario-file.ts';
import type { AnswerFlag } from './answers.ts';

const GENERAL: readonly AnswerFlag[] = [
  { name: 'name', value: '<name>', text: 'name of the scenario' },
  { name: 'purpose', value: '<purpose>', text: 'dr or migration' },
  { name: 'account', value: '<e-mail>', text: 'account (default: the only one)' },
  { name: 'master', value: '<name>', text: 'the server to protect; standby master list' },
  { name: 'region', value: '<name>', text: "region (default: that of the master's appliance)" },
  { name: 'appliance', value: '<name>', text: 'appliance (default: the one the master joined through)' },
  {
    name: 'capture',
    value: '<method>',
    text: 'how changes are captured: nbd, tracked, compare or at-rest (default for dr: the best the master offers; for migration: at-rest)',
  },
  { name: 'excludedVolumes', value: '<ids>', text: 'volumes to leave out, such as disk0/3,disk1/1' },
  { name: 'vmName', value: '<name>', text: "name of the standby VM (default: the master's)" },
  { name: 'vmSize', value: '<size>', text: 'size of the standby VM' },
  { name: 'resourceGroup', value: '<name>', text: "resource group (default: the appliance's)" },
  { name: 'diskType', value: '<type>', text: 'Standard_LRS, StandardSSD_LRS or Premium_LRS' },
  { name: 'zone', value: '<zone>', text: 'availability zone, or none' },
  {
    name: 'fallbackSizes',
    value: '<sizes>',
    text: 'sizes to try in this order when Azure has no room for the first, such as Standard_D2as_v5,Standard_B2ms',
  },
  {
    name: 'fallbackZones',
    value: '<zones>',
    text: 'zones to try in this order when the first has no room for any size, such as 2,3',
  },
  { name: 'healthCheck', value: '<kind>', text: 'none, tcp or http' },
  { name: 'healthPort', value: '<port>', text: 'port of the health check' },
  { name: 'healthPath', value: '<path>', text: 'path of the page of an http check' },
  { name: 'healthStatus', value: '<status>', text: 'HTTP status of a healthy answer' },
  {
    name: 'isAlivePing',
    value: '[yes|no]',
    text: 'standby serve pings the master while it is followed live (more: standby is-alive)',
  },
  {
    name: 'runAfterReboot',
    value: '[yes|no]',
    text: 'live methods: go on by itself after a reboot of the master (default: yes)',
  },
];

const OF_EACH_NIC: readonly AnswerFlag[] = [
  { name: 'virtualNetwork', value: '<group/name>', text: 'virtual network of the first NIC' },
  { name: 'subnet', value: '<name>', text: 'subnet of the first NIC' },
  { name: 'address', value: '<address>', text: 'dynamic, or a fixed private address' },
  { name: 'securityGroup', value: '<group/name>', text: 'network security group on the NIC, or none' },
  { name: 'publicIp', value: '[yes|no]', text: 'a public IP, made at switchover' },
];

/** The second NIC's flags end in 1, the third's in 2: `--subnet1`. They work, but only the first NIC's are listed. */
export const SCENARIO_FLAGS: readonly AnswerFlag[] = [
  ...GENERAL,
  ...Array.from({ length: NICS_MAX }, (_, index) =>
    OF_EACH_NIC.map((flag) => ({ ...flag, name: nicAnswer(flag.name, index), hidden: index > 0 })),
  ).flat(),
];

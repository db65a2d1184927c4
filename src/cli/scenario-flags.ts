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
    name: 'drillAskFrom',
    value: '<prefix>',
    text: 'address or prefix that may ask the health check in a drill (default: none, and drills skip it)',
  },
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
  {
    name: 'redirect',
    value: '<method>',
    text: 'how clients find the standby: none (default), dns-update, azure-dns or azure-private-dns',
  },
  { name: 'dnsServer', value: '<host[:port]>', text: 'dns-update: the primary DNS server of the zone' },
  { name: 'dnsName', value: '<name>', text: 'the name that clients use, in full' },
  {
    name: 'dnsZone',
    value: '<zone>',
    text: 'its zone (default: the name without its first part)',
  },
  {
    name: 'dnsGroup',
    value: '<name>',
    text: "azure-dns, azure-private-dns: resource group of the zone (default: the scenario's)",
  },
  { name: 'dnsAddress', value: '<which>', text: 'public or private: which address of the first NIC it gets' },
  { name: 'dnsTtl', value: '<seconds>', text: 'TTL of the changed record (default: as it is)' },
  {
    name: 'dnsKeyFile',
    value: '<file>',
    text: 'dns-update: file with the TSIG key, as tsig-keygen writes it; stored encrypted',
  },
  {
    name: 'scripts',
    value: '<list>',
    text: "programs of your own: 'before-seal=/path/program argument; after-boot@SWITCHOVER+DRILL=/path/other'",
  },
  {
    name: 'scriptTimeout',
    value: '<seconds>',
    text: 'seconds after which such a program is ended (default: 300)',
  },
  {
    name: 'backupAfterSwitchover',
    value: '[yes|no]',
    text: "full backup of the standby's disks after a switchover, in a process of its own (default: no)",
  },
  {
    name: 'backupAt',
    value: '<HH:MM>',
    text: "such a backup begins not before this time of this machine's clock (default: at once)",
  },
  {
    name: 'backupWindow',
    value: '<HH:MM-HH:MM>',
    text: 'daily hours of other backups of this server, which it never overlaps',
  },
  { name: 'backupMinutes', value: '<minutes>', text: 'how long such a backup may take (default: 60)' },
  { name: 'backupKeep', value: '<number>', text: 'how many backups of the standby are kept (default: 3)' },
];

const OF_EACH_NIC: readonly AnswerFlag[] = [
  { name: 'virtualNetwork', value: '<group/name>', text: 'virtual network of the first NIC' },
  { name: 'subnet', value: '<name>', text: 'subnet of the first NIC' },
  { name: 'address', value: '<address>', text: 'dynamic, or a fixed private address' },
  {
    name: 'dnsServers',
    value: '<list>',
    text: "addresses with commas, or network: the virtual network's own (default)",
  },
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

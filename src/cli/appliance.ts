import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { type AnswerFlag, answerFlags, optionText, presetOf } from './answers.ts';
import { type Call, leaf, Outcome } from './command.ts';
import { done, listing, note, tellAll } from './people.ts';
import { bytesText } from './rendering.ts';
import type { Shell } from './shell.ts';

export const DEPLOY_FLAGS: readonly AnswerFlag[] = [
  { name: 'account', value: '<e-mail>', text: 'account to deploy with' },
  { name: 'region', value: '<name>', text: 'region, such as eastus' },
  { name: 'name', value: '<name>', text: 'name of the appliance and its VM' },
  { name: 'resourceGroup', value: '<name>', text: 'resource group; made if it is new' },
  { name: 'size', value: '<name>', text: 'VM size' },
  { name: 'zone', value: '<zone>', text: 'availability zone, or none' },
  { name: 'image', value: '<name>', text: 'operating system: debian-12 or ubuntu-24.04' },
  { name: 'virtualNetwork', value: '<group/name>', text: 'virtual network, or new' },
  { name: 'subnet', value: '<name>', text: 'subnet of that network' },
  { name: 'journalGib', value: '<number>', text: 'size of the journal disk in GiB' },
  {
    name: 'sshPublicKeyFile',
    value: '<file>',
    text: 'SSH public key for the VM; without one nobody can log in',
  },
];

export function addApplianceCommands(program: Command, shell: Shell): void {
  const appliance = program.command('appliance').description('Appliances: they hold the replica disks');
  answerFlags(leaf(appliance, 'deploy', 'Makes an appliance VM in Azure', shell, deploy), DEPLOY_FLAGS);
  leaf(appliance, 'list', 'Lists the appliances, or with --region every VM of a region', shell, list)
    .option('--account <e-mail>', 'account to look with (default: the only one)')
    .option('--region <name>', 'show the VMs of this region and mark the appliances');
  leaf(appliance, 'check <appliance>', 'Proves port 25000 line by line', shell, check)
    .option('--source-address <ip>', 'under which address the appliance sees this machine')
    .option('--timeout <seconds>', 'how long to wait for the port');
  answerFlags(
    leaf(appliance, 'open-port <appliance>', 'Opens port 25000 for one address or prefix', shell, openPort),
    [{ name: 'sourcePrefix', value: '<prefix>', text: 'who may reach the port, such as 203.0.113.5/32' }],
  );
  answerFlags(leaf(appliance, 'add', 'Adds a server of your own as an appliance', shell, add), [
    { name: 'name', value: '<name>', text: 'name to list it by' },
    { name: 'address', value: '<host>', text: 'host name or IP address' },
    { name: 'port', value: '<number>', text: 'port of its engine' },
  ]).option(
    '--enrol-file <file>',
    'where to write the one-time enrolment (default: standby-enrol-NAME.json here)',
  );
  leaf(
    appliance,
    'bandwidth <appliance>',
    'Shows or sets what it may receive from its masters together',
    shell,
    bandwidth,
  ).option(
    '--schedule <hours>',
    'such as 8-18=2M,18-8=20M: hours in UTC, bytes per second; off takes it away',
  );
  leaf(appliance, 'remove <appliance>', 'Forgets an appliance that nothing uses', shell, remove);
}

async function deploy(call: Call): Promise<unknown> {
  const preset = await presetOf(
    call,
    DEPLOY_FLAGS.map((flag) => flag.name),
  );
  const wizards = await call.shell.parts.wizards();
  return wizards.appliance(await call.context(), { preset, yes: call.yes });
}

async function list(call: Call): Promise<unknown> {
  const region = optionText(call, 'region');
  if (region === undefined) return listKnown(call);
  const context = await call.context();
  const [{ listRegionMachines }, { listAccounts }] = await Promise.all([
    import('../control/appliance/machines.ts'),
    import('../control/account.ts'),
  ]);
  const account = optionText(call, 'account') ?? (await listAccounts(context))[0]?.name ?? '';
  const found = await listRegionMachines(context, { account, region });
  call.host.tell({
    kind: 'table',
    title: `VMs in ${found.region}`,
    columns: ['VM', 'appliance', 'resource group', 'size', 'power', 'private', 'public'],
    rows: found.machines.map((one) => [
      one.name,
      one.appliance === 'no' ? '-' : (one.applianceName ?? 'of another control'),
      one.resourceGroup,
      one.size,
      one.power ?? '-',
      one.privateIp ?? '-',
      one.publicIp ?? '-',
    ]),
  });
  if (found.hint) note(call, found.hint);
  return found;
}

async function listKnown(call: Call): Promise<unknown> {
  const { listAppliances } = await import('../control/appliance/records.ts');
  const appliances = await listAppliances(await call.context());
  listing(call, 'No appliance is known yet: standby appliance deploy', {
    columns: ['appliance', 'address', 'region', 'enrolment'],
    rows: appliances.map((one) => [
      one.name,
      `${one.address}:${one.port}`,
      one.azure?.region ?? '(your own server)',
      one.enrolment,
    ]),
  });
  return { appliances };
}

async function check(call: Call): Promise<unknown> {
  const { checkAppliance } = await import('../control/appliance/check.ts');
  const name = String(call.args[0]);
  const sourceAddress = optionText(call, 'sourceAddress');
  const seconds = Number(call.options.timeout);
  const verdicts = await checkAppliance(await call.context(), name, {
    ...(sourceAddress ? { sourceAddress } : {}),
    ...(seconds > 0 ? { probeTimeoutMs: seconds * 1000 } : {}),
  });
  await tellAll(call, `Appliance ${name}`, verdicts);
  const wrong = verdicts.some((one) => one.status === 'error');
  return new Outcome({ appliance: name, ok: !wrong, verdicts }, wrong ? 3 : 0);
}

async function openPort(call: Call): Promise<unknown> {
  const preset = await presetOf(call, ['sourcePrefix']);
  const wizards = await call.shell.parts.wizards();
  return wizards['open-port'](await call.context(), {
    preset: { ...preset, name: call.args[0] },
    yes: call.yes,
  });
}

async function add(call: Call): Promise<unknown> {
  const preset = await presetOf(call, ['name', 'address', 'port']);
  const wizards = await call.shell.parts.wizards();
  const made = (await wizards['appliance-add'](await call.context(), { preset, yes: call.yes })) as Made;
  const file = optionText(call, 'enrolFile') ?? `standby-enrol-${made.appliance.name}.json`;
  await writeFile(file, made.enrolFileText, { mode: 0o600, flag: 'w' });
  done(call, `The appliance ${made.appliance.name} is added.`);
  note(
    call,
    `Take ${file} (it holds a one-time token) to that server and run there:\n` +
      `  standby engine appliance --state /var/lib/standby --enrol ${file} --luns FOLDER`,
  );
  return { appliance: made.appliance, enrolFile: file };
}

type Made = import('../control/appliance/records.ts').OwnAppliance;

async function bandwidth(call: Call): Promise<unknown> {
  const { applianceBandwidth } = await import('../control/appliance/bandwidth.ts');
  const text = optionText(call, 'schedule');
  const { appliance, schedule } = await applianceBandwidth(await call.context(), String(call.args[0]), text);
  const { bytesPerSecondByHour: hours } = schedule;
  if (text !== undefined) done(call, `The appliance ${appliance.name} holds to it from now on.`);
  listing(call, 'There is no limit.', {
    columns: ['hours (UTC)', 'limit'],
    rows: runsOf(hours ?? []).map(({ from, to, rate }) => [
      `${from}-${to}`,
      rate === 0 ? 'none' : `${bytesText(rate)}/s`,
    ]),
  });
  return { appliance: appliance.name, bytesPerSecondByHour: hours ?? null };
}

/** Hours with the same limit in a row. */
function runsOf(hours: readonly number[]): { from: number; to: number; rate: number }[] {
  const runs: { from: number; to: number; rate: number }[] = [];
  for (const [hour, rate] of hours.entries()) {
    const last = runs.at(-1);
    if (last?.rate === rate) last.to = hour + 1;
    else runs.push({ from: hour, to: hour + 1, rate });
  }
  return runs;
}

async function remove(call: Call): Promise<unknown> {
  const { removeAppliance } = await import('../control/appliance/records.ts');
  const appliance = await removeAppliance(await call.context(), String(call.args[0]));
  done(call, `The appliance ${appliance.name} is forgotten here.`);
  if (appliance.azure) note(call, `What it has in Azure stays there: ${appliance.azure.vmId}`);
  return { removed: appliance.name };
}

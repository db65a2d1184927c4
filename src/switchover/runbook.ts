import { isLiveCapture } from '../model/capture.ts';
import type { MasterInventory } from '../model/disk.ts';
import { scriptsOf } from '../model/redirect.ts';
import type { Scenario } from '../model/scenario.ts';
import { blueprintOf } from './blueprint.ts';
import { operationChecklist } from './words.ts';

/**
 * What an operator does in an outage, with this scenario's real names: to be printed and put beside the telephone.
 * Markdown; made of the definition alone, so it can be read when nothing answers. Each command stands on a line of its
 * own in a block, ready to be typed.
 */
export interface RunbookFacts {
  readonly scenario: Scenario;
  readonly inventory: MasterInventory;
  readonly applianceName: string;
  readonly accountName: string;
  /** Where control keeps its store. */
  readonly homeFolder: string;
}

export function runbook(facts: RunbookFacts): string {
  const { scenario, inventory } = facts;
  const parts = [
    `# If ${inventory.hostName} is down: ${scenario.name}`,
    whatHappens(facts),
    '## 1. Look',
    look(facts),
    '## 2. Decide',
    decide(facts),
    '## 3. Switch over',
    switchOver(facts),
    '## 4. If it stops half-way',
    halfWay(facts),
    '## 5. Check, then tell',
    check(facts),
    '## 6. Come home',
    comeHome(facts),
    '## 7. Do not',
    doNot(facts),
  ];
  return `${parts.join('\n\n')}\n`;
}

function whatHappens({ scenario, inventory, applianceName, accountName, homeFolder }: RunbookFacts): string {
  const { disks, nics } = blueprintOf({ scenario, inventory, runId: 'the-run' });
  const networks = nics.map(({ nic }) => {
    const address = nic.address.kind === 'static' ? nic.address.ip : 'an address that Azure gives';
    return `${lastOf(nic.virtualNetworkId)}/${nic.subnetName} (${address}${nic.publicIp ? ', and a public one' : ''})`;
  });
  return [
    `A switchover builds the Azure VM **${scenario.vm.name}** (${scenario.vm.size}) in resource group`,
    `**${scenario.vm.resourceGroup}**, ${scenario.region}, from the ${plural(disks.length, 'disk')} that appliance`,
    `**${applianceName}** holds (account ${accountName}). It is reached in ${networks.join(' and ')}.`,
    'No such VM exists before, and nothing switches by itself: you decide.',
    '',
    `Every command is typed on the machine where Standby's control runs (its store: \`${homeFolder}\`), unless it says otherwise.`,
  ].join('\n');
}

function look({ scenario, inventory, applianceName }: RunbookFacts): string {
  const { name } = scenario;
  const unreachable = `If the appliance does not answer, start the VM of ${applianceName} in Azure and look again. If it is lost for good, see 4.`;
  if (!isLiveCapture(scenario.capture)) {
    return [
      commands(`standby status ${name}`),
      'It says of when the copy is: this server is copied at rest, and whatever came later is not in Azure.',
      unreachable,
    ].join('\n\n');
  }
  return [
    commands(`standby status ${name}`),
    [
      `It says how old the copy is (RPO), and whether ${inventory.hostName} is still heard. \`replicating\` is what you want`,
      'to see; with any other word read the reason beside it.',
    ].join('\n'),
    unreachable,
    'Points in time to go back to (after a virus, a wrong update):',
    commands(`standby bookmarks ${name}`),
  ].join('\n\n');
}

function decide({ inventory, scenario }: RunbookFacts): string {
  const addresses = inventory.nics.flatMap((nic) => nic.addresses);
  const at = addresses.length > 0 ? ` (${addresses.join(', ')})` : '';
  return [
    `- Is **${inventory.hostName}**${at} really down, and not only out of your sight? Ask somebody who stands beside it.`,
    inventory.fence
      ? '- Two of them must never run: its engine takes it off the network first. If it cannot be reached, see that it is off.'
      : '- Two of them must never run: switch it off, or disable its network adapters, before you go on.',
    '- What was written there and is not in Azure is lost unless it can be fetched later. The next command shows how much.',
    ...(scenario.redirect
      ? [
          `- Clients are sent to the standby by the name **${scenario.redirect.name}**; the last step changes it.`,
        ]
      : []),
  ].join('\n');
}

function switchOver({ scenario, inventory }: RunbookFacts): string {
  const { name } = scenario;
  const live = isLiveCapture(scenario.capture);
  return [
    commands(`standby switchover ${name}`),
    ...(live
      ? [
          'It asks which state of the server you want, and whether to wait until everything received is applied: Enter twice takes the newest, with everything.',
        ]
      : []),
    `It shows every resource it will make${live ? ' and what would be lost' : ''}, asks for the scenario's name, and then tells each step.`,
    ...(live
      ? [
          'To an earlier point instead (the name of a bookmark, or a time in UTC):',
          commands(
            `standby switchover ${name} --to BOOKMARK`,
            `standby switchover ${name} --to-time 2030-01-15T03:00:00Z`,
          ),
        ]
      : []),
    ...(inventory.fence ? [`If ${inventory.hostName} cannot be reached, and you know that it is off:`] : []),
    ...(inventory.fence ? [commands(`standby switchover ${name} --master-is-down`)] : []),
    ...(inventory.fence && live
      ? [
          'If it still works, and is to be moved without losing anything:',
          commands(`standby switchover ${name} --planned`),
        ]
      : []),
    ...(scenario.redirect ? leftOut(name, '--no-redirect', 'its DNS server does not take the change') : []),
    ...(scriptsOf(scenario.scripts, 'SWITCHOVER').length > 0
      ? leftOut(name, '--no-scripts', 'one of its scripts fails')
      : []),
  ].join('\n\n');
}

function leftOut(name: string, flag: string, when: string): readonly string[] {
  return [
    `If ${when}, and the standby is needed all the same:`,
    commands(`standby switchover ${name} ${flag}`),
  ];
}

function halfWay({ scenario }: RunbookFacts): string {
  return [
    'It says what failed, why, what it left behind and what to do. Killed, cut off, closed by mistake: the same command goes on.',
    commands(`standby switchover ${scenario.name}`, `standby runs --scenario ${scenario.name}`),
    `If Azure has no quota left and a drill is still there (\`standby drill --list\`), it goes with \`standby drill ${scenario.name} --remove\`.`,
    'If it says that the boot is not proven, and you have seen that the standby works:',
    commands(`standby switchover ${scenario.name} --accept-unproven-boot`),
    'To give up before the standby is live (afterwards there is no way back but forward):',
    commands(`standby switchover ${scenario.name} --undo`),
    `If the appliance is lost for good, the standby is started from the replica disks as they are${isLiveCapture(scenario.capture) ? '; what only the journal held is lost' : ''}. The first line only if a switchover was begun:`,
    commands(
      `standby switchover ${scenario.name} --undo --without-appliance`,
      `standby stop ${scenario.name}`,
      `standby vm start ${scenario.name}`,
    ),
  ].join('\n\n');
}

function check({ scenario, inventory }: RunbookFacts): string {
  const lines = operationChecklist(inventory, undefined).map((line) => `- ${line}`);
  return [
    lines.join('\n'),
    [
      ...(scenario.redirect
        ? [
            `The report of the switchover says how long clients may keep the old address of ${scenario.redirect.name}.`,
            'Tell the owners of systems that call this server by its address.',
          ]
        : [
            `The report of the switchover has the new address of the VM ${scenario.vm.name}. Tell the users, whoever keeps the DNS`,
            'records, and the owners of systems that call this server by its address.',
          ]),
    ].join('\n'),
  ].join('\n\n');
}

function comeHome({ scenario, inventory }: RunbookFacts): string {
  const { name } = scenario;
  return [
    `When ${inventory.hostName} can be used again, or new hardware is there. While the standby works, on control:`,
    commands(`standby failback ${name} --prepare`),
    [
      'It waits for the server: start that from any Linux rescue system that has Standby, and name every disk that is to be written',
      '(`standby restore --target /dev/sdX`; new hardware gets a token first, from the next line on control).',
    ].join('\n'),
    commands(`standby restore-token ${name}`),
    'Leave the rescue system waiting. When the users can do without the server for a while:',
    commands(`standby failback ${name} --finish`),
    ...(scriptsOf(scenario.scripts, 'FAILBACK').length > 0
      ? [
          'If one of its scripts fails, and the server is needed all the same:',
          commands(`standby failback ${name} --finish --no-scripts`),
        ]
      : []),
    'It stops the standby, sends the rest and proves both ends equal. Then start the server and its engine. When it works, remove the standby, and protect the server again:',
    commands(`standby vm stop ${name} --remove`, `standby run ${name}`),
  ].join('\n\n');
}

function doNot({ scenario, inventory }: RunbookFacts): string {
  return [
    `- Do not let the master ${inventory.hostName} onto the network while the Azure VM ${scenario.vm.name} runs.`,
    `- Do not delete anything in the resource group ${scenario.vm.resourceGroup}: the replica disks may be the only copy.`,
    '- Do not run `standby run` until you know which side has the newest data.',
  ].join('\n');
}

function commands(...lines: readonly string[]): string {
  return ['```', ...lines, '```'].join('\n');
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function lastOf(id: string): string {
  return id.slice(id.lastIndexOf('/') + 1);
}

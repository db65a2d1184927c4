import { timeText } from '../clock.ts';
import { growsUnderGpt, type MasterInventory } from '../model/disk.ts';
import type { RedirectedRecord } from '../model/redirect.ts';
import type { Scenario } from '../model/scenario.ts';
import { type Refusal, refusalsText, rungText } from './ladder.ts';
import type { Drained } from './steps/drain-master.ts';
import type { Redirected } from './steps/redirect-clients.ts';
import type { Sealed } from './steps/seal-replica.ts';
import type { WorkEvent } from './work.ts';

/** What people are told around a switchover, in one place: before it, when it is done, and what to do then. */

/** Before the typed confirmation (G-74). */
export function confirmationText(
  scenario: Pick<Scenario, 'name' | 'vm'>,
  inventory: Pick<MasterInventory, 'fence'> = {},
): string {
  if (inventory.fence) {
    return (
      `The mapped network adapters of the master of "${scenario.name}" are disabled by its engine before the standby ` +
      `"${scenario.vm.name}" is built, and stay so until the standby is removed. If the master cannot be reached, you are asked ` +
      'whether it is off.'
    );
  }
  return (
    `The master of "${scenario.name}" must stay off the network while the standby "${scenario.vm.name}" runs: Standby does ` +
    'not fence it. Its mapped network adapters must be disabled, and enabled by hand when it becomes active again.'
  );
}

/** `at position 812 of 2030-01-15 03:00:00 UTC (master's clock)`; undefined for a copy at rest. */
export function positionText({ position }: Pick<Sealed, 'position'>): string | undefined {
  if (!position) return undefined;
  return `at position ${position.sequence} of ${timeText(position.timeMs)} (master's clock)`;
}

export function switchedOverEvents(
  scenario: Scenario,
  vmId: string,
  boot: string,
  sealed: Pick<Sealed, 'position'> = {},
): readonly WorkEvent[] {
  const at = positionText(sealed);
  return [
    {
      level: 'info',
      code: 'FAILBACK_HINT',
      text: `To go back later, restore the master from the active VM "${scenario.vm.name}", whose disks now hold the newest data: standby failback ${scenario.name}`,
    },
    {
      level: 'info',
      code: 'SWITCHOVER_COMPLETE',
      text: `The switchover is complete. The Azure VM "${scenario.vm.name}" that stands for the master is now active (boot ${boot})${at === undefined ? '' : `, ${at}`}.`,
      data: { vmName: scenario.vm.name, boot, ...(sealed.position ? { position: sealed.position } : {}) },
    },
    vmOnlineEvent(vmId),
  ];
}

/** A standby that is not what was planned: people size and pay by it. */
export function steppedDownEvents(vm: {
  readonly name: string;
  readonly size?: string;
  readonly zone?: string;
  readonly refused?: readonly Refusal[];
}): readonly WorkEvent[] {
  const { name, size, zone, refused = [] } = vm;
  if (refused.length === 0 || size === undefined) return [];
  const now = rungText({ size, ...(zone ? { zone } : {}) });
  return [
    {
      level: 'warning',
      code: 'STEPPED_DOWN',
      text: `Azure had no room for "${name}" as ${refusalsText(refused)}. It runs as ${now}; resize it when there is room.`,
      data: { size, ...(zone ? { zone } : {}), refused },
    },
  ];
}

/** What a planned switchover has proven before it sealed the replica. */
export function plannedEvents(drained: Drained | undefined): readonly WorkEvent[] {
  if (!drained) return [];
  const { sequence, changesAfter, digests } = drained;
  const after =
    changesAfter === 0
      ? 'Nothing was written after it.'
      : `${changesAfter} changes of the server itself came after it; no client reached it any more.`;
  return [
    {
      level: 'info',
      code: 'PLANNED_NOTHING_LOST',
      text: `Both ends were equal by digest (${digests.length} disks) at position ${sequence}, with the master off the network. ${after}`,
      data: { ...drained },
    },
  ];
}

export function redirectedEvents({ record }: Redirected = {}): readonly WorkEvent[] {
  if (!record) return [];
  return [{ level: 'info', code: 'REDIRECTED', text: redirectedText(record), data: { ...record } }];
}

function redirectedText({ name, before, after }: RedirectedRecord): string {
  const was = before.addresses.join(', ');
  const old = was === '' ? 'there was no such record' : `it was ${was}`;
  const wait = was === '' ? '' : ` Clients keep the old address for up to ${before.ttlSeconds} s.`;
  return `Clients find the standby as ${name}: ${after.addresses.join(', ')} (${old}).${wait}`;
}

export function vmOnlineEvent(vmId: string): WorkEvent {
  return { level: 'info', code: 'VM_ONLINE', text: `${vmId} is now online.`, data: { vmId } };
}

/** The operation check (G-77): a person does it, in this order. */
export function operationChecklist(
  inventory: Pick<MasterInventory, 'hostName' | 'os' | 'disks'>,
  address: string | undefined,
): readonly string[] {
  const signIn = inventory.os.family === 'windows' ? 'remote desktop' : 'SSH';
  const grown = inventory.disks.filter(growsUnderGpt).map((disk) => disk.id);
  return [
    `Sign in to the standby by ${signIn}${address ? ` at ${address}` : ''}; its host name is still "${inventory.hostName}".`,
    'Check that time, disks, volumes and drive letters or mounts are as on the master.',
    ...(grown.length > 0
      ? [
          `GPT's backup header of ${grown.join(', ')} is not at the end of its disk, which is larger than the master's: move it (Linux: sgdisk -e).`,
        ]
      : []),
    'Check that the applications have started and show the newest data you expect.',
    'Try what users do: one read, one write, one report.',
    `Check that the master "${inventory.hostName}" is off, or its network adapters are disabled.`,
    'Turn backup and monitoring to the standby.',
  ];
}

/** Where clients find the standby now; when nothing sends them there, people must be told (M-41). */
export function whomToTell(
  inventory: Pick<MasterInventory, 'hostName' | 'nics'>,
  addresses: readonly { readonly privateIp?: string; readonly publicIp?: string }[],
  redirected?: Redirected,
): readonly string[] {
  if (redirected?.record) return [redirectedText(redirected.record)];
  const before = inventory.nics.flatMap((nic) => nic.addresses).join(', ') || 'its old address';
  const now = addresses.flatMap(({ publicIp, privateIp }) => [
    ...(publicIp ? [`${publicIp} (public)`] : []),
    ...(privateIp ? [`${privateIp} (in the virtual network)`] : []),
  ]);
  return [
    `${redirected?.leftOut ? 'The redirection was left out' : 'No redirection is set'}: clients of "${inventory.hostName}" (${before}) do not find the standby by themselves.`,
    `New address: ${now.join(', ') || 'not known'}.`,
    'Tell the users, whoever keeps the DNS records, and the owners of systems that call this server by address.',
  ];
}

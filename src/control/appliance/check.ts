import { isStandbyError, type StandbyError } from '../../errors.ts';
import type { Appliance } from '../../model/appliance.ts';
import type { Verdict } from '../../model/verdict.ts';
import type { SecurityGroup, SecurityRule } from '../../ports/cloud.ts';
import { decideInbound } from '../../verify/inbound.ts';
import { probePort } from '../../wire/probe.ts';
import type { Context } from '../context.ts';
import { inboundFrom, type NetworkPlace, networkPlaceOf } from './network-place.ts';
import { ownAddressTowards } from './own-address.ts';
import { applianceNamed } from './records.ts';

/**
 * Proves port 25000 line by line, in the order in which a packet meets obstacles. Changes nothing in Azure; it
 * enrols an appliance that waits for it. A line is `skipped` whenever nothing was proven, with the reason.
 */
export interface CheckOptions {
  /** Under which address the appliance sees this machine, when we cannot know it ourselves (address translation). */
  readonly sourceAddress?: string;
  readonly probeTimeoutMs?: number;
  /** How long an appliance that never answered may take for its first boot, when nothing is known to stop it. */
  readonly firstBootWaitMs?: number;
}

const PROBE_TIMEOUT_MS = 5_000;
const FIRST_BOOT_WAIT_MS = 120_000;
const LOOK_AGAIN_MS = 1_000;
const CLOCK_DIFFERENCE_MAX_MS = 60_000;

const TITLES = {
  VM_RUNNING: 'VM running',
  NSG_SUBNET: 'Security group on the subnet',
  NSG_NIC: 'Security group on the NIC',
  TCP_CONNECT: 'TCP connect',
  ENGINE_HELLO: 'TLS and engine',
} as const;
type LineCode = keyof typeof TITLES;
type Line = Omit<Verdict, 'code' | 'title'> & { readonly code?: string };

function line(code: LineCode, facts: Line): Verdict {
  return { code, title: TITLES[code], ...facts };
}

export async function checkAppliance(
  context: Context,
  name: string,
  options: CheckOptions = {},
): Promise<Verdict[]> {
  const appliance = await applianceNamed(context, name);
  const azure = await azureLines(context, appliance, options);
  return [...azure, ...(await engineLines(context, appliance, azure, options))];
}

/** Tries again while a first boot may still be under way: a refused or silent port says nothing yet. */
async function engineLines(
  context: Context,
  appliance: Appliance,
  azure: readonly Verdict[],
  options: CheckOptions,
): Promise<readonly Verdict[]> {
  const { clock, host } = context;
  const mayBeBooting =
    appliance.azure && appliance.enrolment === 'pending' && azure.every((one) => one.status !== 'error');
  const waitMs = mayBeBooting ? (options.firstBootWaitMs ?? FIRST_BOOT_WAIT_MS) : 0;
  const untilMs = clock.now() + waitMs;
  let told = false;
  for (;;) {
    const tcp = await tcpLine(appliance, azure, options);
    const hello = tcp.status === 'ok' ? await helloLine(context, appliance) : notReached(tcp);
    const isBooting = tcp.status === 'error' || hello.code === 'APPLIANCE_UNREACHABLE';
    if (!isBooting || clock.now() >= untilMs) return [tcp, hello];
    if (!told) {
      const text = `${appliance.name} does not answer yet; its first boot may take ${Math.round(waitMs / 1000)} s.`;
      host.tell({ kind: 'text', level: 'info', text });
    }
    told = true;
    await clock.sleep(LOOK_AGAIN_MS, host.signal);
  }
}

async function azureLines(
  context: Context,
  appliance: Appliance,
  options: CheckOptions,
): Promise<readonly Verdict[]> {
  if (!appliance.azure) return azureSkipped('this appliance is a server of one’s own: it has no Azure part');
  let place: NetworkPlace | undefined;
  try {
    const account = await context.store.accounts.get(appliance.azure.accountId);
    if (!account) return azureSkipped('its account is no longer registered, so Azure cannot be asked');
    place = await networkPlaceOf(await context.cloudFor(account), appliance.azure.vmId);
  } catch (error) {
    if (!isStandbyError(error) || error.kind === 'cancelled') throw error;
    const found = `Azure could not be asked: ${error.message}`;
    const next = 'standby account verify shows what is wrong with the account.';
    return [
      line('VM_RUNNING', { code: error.code, status: 'error', found, next: error.next ?? next }),
      ...groupsSkipped('Azure could not be asked'),
    ];
  }
  if (!place) {
    const found = `there is no virtual machine ${appliance.azure.vmId}`;
    const next = 'Deploy it again, or remove the appliance.';
    return [
      line('VM_RUNNING', { code: 'VM_MISSING', status: 'error', found, next }),
      ...groupsSkipped('the virtual machine is not there'),
    ];
  }
  const source = options.sourceAddress ?? (await ownAddressTowards(appliance.address));
  return [runningLine(place, appliance), ...groupLines(place, appliance, source)];
}

function azureSkipped(reason: string): readonly Verdict[] {
  return [line('VM_RUNNING', { status: 'skipped', found: reason }), ...groupsSkipped(reason)];
}

function groupsSkipped(reason: string): readonly Verdict[] {
  return [
    line('NSG_SUBNET', { status: 'skipped', found: reason }),
    line('NSG_NIC', { status: 'skipped', found: reason }),
  ];
}

function runningLine(place: NetworkPlace, appliance: Appliance): Verdict {
  const { machine, publicIp, privateIp } = place;
  const power = machine.power ?? 'not known';
  if (power !== 'running') {
    return line('VM_RUNNING', {
      status: 'error',
      found: `its power state is ${power}`,
      expected: 'running',
      next: `Start ${machine.name} in the Azure portal, then check again.`,
    });
  }
  const addresses = [publicIp, privateIp].filter((one) => one !== undefined);
  const isIp = /^[\d.]+$/.test(appliance.address);
  if (isIp && addresses.length > 0 && !addresses.includes(appliance.address)) {
    return line('VM_RUNNING', {
      code: 'ADDRESS_CHANGED',
      status: 'warning',
      found: `running, but its addresses are ${addresses.join(' and ')}`,
      expected: appliance.address,
      next: 'The address was changed in Azure. Give the VM its old public IP again.',
    });
  }
  return line('VM_RUNNING', { status: 'ok', found: `${machine.name} is running at ${appliance.address}` });
}

function groupLines(
  place: NetworkPlace,
  appliance: Appliance,
  source: string | undefined,
): readonly Verdict[] {
  const { subnetGroup, nicGroup, subnetName, nicName } = place;
  const subnet = subnetGroup
    ? groupLine('NSG_SUBNET', subnetGroup, place, appliance, source)
    : line('NSG_SUBNET', { status: 'ok', found: `${subnetName} has none: nothing is filtered there` });
  if (nicGroup) return [subnet, groupLine('NSG_NIC', nicGroup, place, appliance, source)];
  if (subnetGroup || !place.publicIp) {
    return [
      subnet,
      line('NSG_NIC', { status: 'ok', found: `${nicName} has none: nothing is filtered there` }),
    ];
  }
  const none = line('NSG_NIC', {
    code: 'NSG_MISSING',
    status: 'warning',
    found: 'neither the subnet nor the NIC has one; a Standard public IP then lets nothing in',
    next: `Give ${nicName} a network security group in the portal, then: standby appliance open-port ${appliance.name}`,
  });
  return [subnet, none];
}

function groupLine(
  code: 'NSG_SUBNET' | 'NSG_NIC',
  group: SecurityGroup,
  place: NetworkPlace,
  appliance: Appliance,
  source: string | undefined,
): Verdict {
  const decision = decideInbound(group.rules, inboundFrom(place, source, appliance));
  const traffic = `TCP ${appliance.port} from ${source ?? 'this machine'}`;
  const open = `standby appliance open-port ${appliance.name}`;
  if (decision.access === 'unsure') {
    return line(code, {
      status: 'skipped',
      found:
        `not decidable: this machine’s public address is not known. In ${group.name}, ${ruleText(decision.rule)} ` +
        `decides unless ${ruleText(decision.exception)} does first`,
      next: 'Give the address that Azure sees with --source-address ADDRESS; the next line tries it for real.',
    });
  }
  if (decision.access === 'allow') {
    return line(code, {
      status: 'ok',
      found: `${ruleText(decision.rule)} of ${group.name} allows ${traffic}`,
    });
  }
  return line(code, {
    status: 'error',
    found: `${ruleText(decision.rule)} of ${group.name} denies ${traffic}`,
    expected: 'a rule that allows it',
    next: open,
  });
}

function ruleText(rule: SecurityRule | undefined): string {
  return rule ? `rule ${rule.name} (priority ${rule.priority})` : 'no rule';
}

async function tcpLine(
  appliance: Appliance,
  azure: readonly Verdict[],
  options: CheckOptions,
): Promise<Verdict> {
  const machine = azure.find((one) => one.title === TITLES.VM_RUNNING);
  if (machine?.code === 'VM_MISSING' || (machine?.status === 'error' && machine.expected === 'running')) {
    return line('TCP_CONNECT', { status: 'skipped', found: 'not tried: the virtual machine is not running' });
  }
  const timeoutMs = options.probeTimeoutMs ?? PROBE_TIMEOUT_MS;
  const { state, ms } = await probePort(appliance.address, appliance.port, timeoutMs);
  const target = `${appliance.address}:${appliance.port}`;
  const denied = azure.some((one) => one.status === 'error' && /denies/.test(one.found));
  const open = `standby appliance open-port ${appliance.name}`;
  switch (state) {
    case 'open':
      return line('TCP_CONNECT', { status: 'ok', found: `${target} accepts connections (${ms} ms)` });
    case 'refused':
      return line('TCP_CONNECT', {
        status: 'error',
        found: `${target} refuses: nothing listens there`,
        next: denied
          ? open
          : 'Right after deploying, the first boot takes some minutes: check again. Otherwise look at the VM’s ' +
            'boot diagnostics, or start the engine: systemctl status standby-appliance',
      });
    case 'timeout':
      return line('TCP_CONNECT', {
        status: 'error',
        found: `${target} gave no answer within ${Math.round(timeoutMs / 1000)} s: something drops the packets`,
        next: denied
          ? open
          : 'Ask for outgoing TCP 25000 in this network, and look at the firewall inside the VM.',
      });
    default:
      return line('TCP_CONNECT', {
        status: 'error',
        found: `${target} cannot be reached: no route, or the name is not known`,
        next: 'Check this machine’s network and the appliance’s address.',
      });
  }
}

function notReached(tcp: Verdict): Verdict {
  const reason = tcp.status === 'skipped' ? 'the virtual machine is not running' : 'TCP does not connect';
  return line('ENGINE_HELLO', { status: 'skipped', found: `not tried: ${reason}` });
}

async function helloLine(context: Context, appliance: Appliance): Promise<Verdict> {
  try {
    const session = await context.connect(appliance);
    const { engineVersion, protocol, clockDifferenceMs } = session.hello;
    await session.close();
    const facts = `engine ${engineVersion}, protocol ${protocol}, clock difference ${Math.round(clockDifferenceMs)} ms`;
    if (Math.abs(clockDifferenceMs) <= CLOCK_DIFFERENCE_MAX_MS) {
      return line('ENGINE_HELLO', { status: 'ok', found: facts });
    }
    return line('ENGINE_HELLO', {
      code: 'CLOCK_SKEW',
      status: 'warning',
      found: facts,
      expected: 'less than a minute',
      next: 'Synchronise both clocks (NTP): times in reports and certificates depend on them.',
    });
  } catch (error) {
    if (!isStandbyError(error) || error.kind === 'cancelled') throw error;
    const cause = isStandbyError(error.cause) ? error.cause : error;
    return line('ENGINE_HELLO', {
      code: cause.code,
      status: 'error',
      found: cause.message,
      next: adviceFor(cause, appliance),
    });
  }
}

function adviceFor(error: StandbyError, appliance: Appliance): string {
  // "standby appliance check" is what is running right now.
  if (error.next && !error.next.includes('appliance check')) return error.next;
  return `Look at the engine on ${appliance.name}: systemctl status standby-appliance`;
}

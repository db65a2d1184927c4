import { existsSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../../src/errors.ts';
import { type InTurn, makeInTurn } from '../../../src/in-turn.ts';
import { ArmError } from '../arm/arm-error.ts';
import { textAt } from '../arm/json.ts';
import { keyOf } from '../arm/resource-id.ts';
import { TYPES } from '../behaviours/references.ts';
import { makeApplianceGuest } from './appliance-guest.ts';
import { makeForwarders, type Planned } from './forwarders.ts';
import type { Guest, GuestPlace, NicPort } from './guest.ts';
import type { GuestHost, GuestHostFacts, MakeGuestHost } from './guest-host.ts';
import { makeImageGuest } from './image-guest.ts';
import { type MachineFacts, machineFacts } from './machine-facts.ts';
import { makeNoGuests } from './no-guests.ts';
import { guestFolder, placeOf } from './places.ts';
import { endProcess, findProcess } from './processes.ts';
import { makeQemuGuest } from './qemu-guest.ts';
import { reachablePorts } from './reachable-ports.ts';

/**
 * The guest host: one guest per VM, and the listeners of all public IPs. It remembers nothing that the graph or the
 * guests' own pid files do not tell, so after a kill at any line the next start sees the same world: guests that run
 * are taken over, those that should run and do not are started, and those of VMs that are gone are ended.
 */
export const makeGuestHost: MakeGuestHost = async (facts) =>
  facts.kind === 'none' ? makeNoGuests(facts) : makeProcessHost(facts);

const LOOK_MS = 200;

interface Entry {
  readonly guest: Guest;
  readonly guid: string;
  /** Starts, stops and changes of one guest come one after the other, whoever asks for them. */
  readonly inTurn: InTurn;
}

function makeProcessHost(host: GuestHostFacts): GuestHost {
  const { graph, clock, log, dataFolder } = host;
  const entries = new Map<string, Entry>();
  const frozen = new Map<string, number>();
  const forwarders = makeForwarders(log);
  const stopped = new AbortController();
  let plan: readonly Candidate[] = [];
  let looking: Promise<void> | undefined;
  let watching: Promise<void> | undefined;

  const factsOf = (vmId: string) => machineFacts(graph, dataFolder, vmId);

  function entryOf(facts: MachineFacts): Entry {
    const known = entries.get(keyOf(facts.id));
    if (known?.guid === facts.guid) return known;
    const made = {
      guid: facts.guid,
      guest: makeGuest(facts.kind, placeOf(host, facts.guid, new Set())),
      inTurn: makeInTurn(),
    };
    entries.set(keyOf(facts.id), made);
    return made;
  }

  /** What could be reachable under the graph as it is; whether something listens there is looked at again and again. */
  function makePlan(): Candidate[] {
    return [...entries.keys()].flatMap((vmId) => {
      const facts = factsOf(vmId);
      if (facts === undefined) return [];
      return facts.nics.flatMap((nic) => {
        const ports = nic.publicIps.length === 0 ? [] : reachablePorts(nic.filter, nic.privateIp);
        return nic.publicIps.flatMap((publicIp) => ports.map((port) => ({ facts, nic, publicIp, port })));
      });
    });
  }

  async function look(): Promise<void> {
    const planned: Planned[] = [];
    for (const [vmId, { guest }] of entries) {
      const mine = plan.filter((entry) => keyOf(entry.facts.id) === vmId);
      const facts = mine[0]?.facts;
      if (facts === undefined || guest.status() !== 'running') continue;
      const wanted: NicPort[] = mine.map((entry) => ({ nicId: entry.nic.id, port: entry.port }));
      const listening = await guest.listening(facts, wanted);
      for (const { nic, publicIp, port } of mine) {
        const endpoint = listening.find((found) => found.nicId === nic.id && found.port === port);
        if (endpoint === undefined) continue;
        planned.push({
          vmId: facts.id,
          publicIp,
          port,
          privateIp: nic.privateIp,
          filter: nic.filter,
          endpoint,
        });
      }
    }
    if (!stopped.signal.aborted) await forwarders.set(planned);
  }

  /** One look at a time; a call during one waits for it and looks anew, since the world may have changed under it. */
  async function lookNow(): Promise<void> {
    while (looking) await looking;
    plan = makePlan();
    const own = look().catch((error: unknown) =>
      log.warn('looking at the guests failed', { why: messageOf(error) }),
    );
    looking = own.finally(() => {
      looking = undefined;
    });
    await looking;
  }

  async function tendEnded(): Promise<void> {
    for (const [vmId, { guest, inTurn }] of entries) {
      const end = guest.tookEnd();
      if (end === undefined) continue;
      log.info('a guest ended by itself', { vm: vmId, end });
      const facts = factsOf(vmId);
      if (facts === undefined || facts.power !== 'running') continue;
      if (end === 'died') {
        // As Azure does when a host fails: the VM is started again.
        await inTurn(() => guest.start(facts));
      } else {
        graph.update(vmId, (resource) => {
          resource.hidden.power = 'stopped';
        });
      }
    }
  }

  async function watch(): Promise<void> {
    while (!stopped.signal.aborted) {
      try {
        await tendEnded();
        await lookNow();
      } catch (error) {
        log.warn('tending the guests failed', { why: messageOf(error) });
      }
      await clock.sleep(LOOK_MS, stopped.signal).catch(() => undefined);
    }
  }

  /** Guests of VMs that were deleted while Local Azure was dead. */
  async function endStrays(known: ReadonlySet<string>): Promise<void> {
    for (const name of readdirSync(host.runFolder)) {
      const guid = /^([0-9a-f-]{36})\..+\.pid$/.exec(name)?.[1];
      if (guid === undefined || known.has(guid)) continue;
      const process = findProcess(join(host.runFolder, name));
      if (process) await endProcess(process, clock, 1000);
      await rm(join(host.runFolder, name), { force: true });
    }
  }

  return {
    kind: 'qemu',
    async resume() {
      const machines = graph.list(TYPES.machine).flatMap((machine) => factsOf(machine.id) ?? []);
      await endStrays(new Set(machines.map((facts) => facts.guid)));
      for (const facts of machines) {
        const { guest, inTurn } = entryOf(facts);
        const isOff = facts.power === 'stopped' || facts.power === 'deallocated';
        try {
          if (facts.power === 'running') await inTurn(() => guest.start(facts));
          else if (isOff) await inTurn(() => guest.stop('kill'));
        } catch (error) {
          log.error('a guest could not be started again', { vm: facts.id, why: messageOf(error) });
        }
      }
      watching ??= watch();
      await lookNow();
    },
    async start(vmId) {
      const facts = factsOf(vmId);
      if (facts === undefined) throw new ArmError(404, 'ResourceNotFound', `The VM ${vmId} is not there.`);
      watching ??= watch();
      const { guest, inTurn } = entryOf(facts);
      await inTurn(() => guest.start(facts));
      await lookNow();
    },
    async stop(vmId, how) {
      const facts = factsOf(vmId);
      if (facts === undefined) return;
      const { guest, inTurn } = entryOf(facts);
      await inTurn(() => guest.stop(how));
      await lookNow();
    },
    status(vmId) {
      const known = entries.get(keyOf(vmId));
      if (known) return known.guest.status();
      const facts = factsOf(vmId);
      return facts === undefined ? 'stopped' : entryOf(facts).guest.status();
    },
    serialLogFile(vmId) {
      const guid = textAt(graph.get(vmId)?.properties, 'vmId');
      const file = `${guestFolder(guid ?? '')}/serial.log`;
      return guid !== undefined && existsSync(join(dataFolder, file)) ? file : undefined;
    },
    async takePicture(vmId) {
      const entry = entries.get(keyOf(vmId));
      if (!entry) return;
      try {
        const file = join(dataFolder, guestFolder(entry.guid), 'screenshot.bmp');
        await entry.guest.takePicture?.(file);
      } catch (error) {
        log.warn('no picture could be taken', { vm: vmId, why: messageOf(error) });
      }
    },
    async disksChanged(vmId) {
      const facts = factsOf(vmId);
      const entry = entries.get(keyOf(vmId));
      if (facts && entry) await entry.inTurn(() => entry.guest.disksChanged(facts));
    },
    networkChanged: lookNow,
    async whileFrozen(vmId, work) {
      const entry = entries.get(keyOf(vmId));
      if (entry?.guest.status() !== 'running') return work();
      // Several disks of one VM are copied at once: it holds still until the last copy is done.
      const others = frozen.get(entry.guid) ?? 0;
      frozen.set(entry.guid, others + 1);
      try {
        if (others === 0) await entry.guest.freeze();
        return await work();
      } finally {
        const left = (frozen.get(entry.guid) ?? 1) - 1;
        frozen.set(entry.guid, left);
        if (left === 0) await entry.guest.thaw();
      }
    },
    forwards: () => forwarders.list(),
    async forget(vmId) {
      const facts = factsOf(vmId);
      if (facts === undefined) return;
      const { guest, inTurn } = entryOf(facts);
      await inTurn(() => guest.stop('kill'));
      entries.delete(keyOf(vmId));
      await lookNow();
      await rm(join(dataFolder, guestFolder(facts.guid)), { recursive: true, force: true });
      await removePidFiles(host.runFolder, facts.guid);
    },
    async stopAll() {
      stopped.abort();
      await watching;
      await Promise.all([...entries.values()].map(({ guest, inTurn }) => inTurn(() => guest.stop('kill'))));
      await forwarders.close();
    },
  };
}

interface Candidate {
  readonly facts: MachineFacts;
  readonly nic: MachineFacts['nics'][number];
  readonly publicIp: string;
  readonly port: number;
}

function makeGuest(kind: MachineFacts['kind'], place: GuestPlace): Guest {
  if (kind === 'appliance') return makeApplianceGuest(place);
  return kind === 'image' ? makeImageGuest(place) : makeQemuGuest(place);
}

async function removePidFiles(runFolder: string, guid: string): Promise<void> {
  for (const name of readdirSync(runFolder)) {
    if (name.startsWith(`${guid}.`)) await rm(join(runFolder, name), { force: true });
  }
}

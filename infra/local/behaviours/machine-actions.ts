import { ArmError } from '../arm/arm-error.ts';
import type { Action, ArmContext, Ask, Resource } from '../arm/behaviour.ts';
import { booleanAt, type JsonObject, objectAt, objectsAt, textAt } from '../arm/json.ts';
import { machineAction } from '../arm/operation-shape.ts';
import { sameId } from '../arm/resource-id.ts';
import { simulateEviction } from './evictions.ts';
import { requireSize } from './machine-checks.ts';
import { finishDetach, nextDataDisks } from './machine-disks.ts';
import { type Power, powerOf, presentMachine } from './machine-view.ts';
import { requiredMissing } from './references.ts';

/** The verbs of a VM. The asked-for power state is stored before the guest is touched, so a kill in between is made good. */
function setPower(context: ArmContext, id: string, power: Power): void {
  context.graph.update(id, (resource) => {
    resource.hidden.power = power;
  });
}

export async function startGuest(context: ArmContext, machineId: string): Promise<void> {
  try {
    await context.guests.start(machineId);
  } catch (error) {
    setPower(context, machineId, 'stopped');
    throw error;
  }
  setPower(context, machineId, 'running');
}

function stopping(during: Power, after: Power): Action {
  return {
    kind: 'operation',
    shape: machineAction,
    before(context, resource, ask) {
      setPower(context, resource.id, during);
      return { skipShutdown: ask.query.get('skipshutdown') === 'true' };
    },
    async run(context, resource, work) {
      await context.guests.stop(resource.id, booleanAt(work.carry, 'skipShutdown') ? 'kill' : 'shutdown');
      setPower(context, resource.id, after);
      await context.guests.networkChanged();
      return undefined;
    },
  };
}

const start: Action = {
  kind: 'operation',
  shape: machineAction,
  before(context, resource) {
    if (resource.hidden.generalized === true) throw notAllowed('start', resource, 'the VM is generalized');
    if (textAt(resource.hidden, 'power') !== 'running') setPower(context, resource.id, 'starting');
    return {};
  },
  async run(context, resource) {
    await startGuest(context, resource.id);
    return undefined;
  },
};

/** restart and redeploy: a VM that is off stays off. */
const restart: Action = {
  kind: 'operation',
  shape: machineAction,
  before(_context, resource) {
    if (textAt(resource.hidden, 'power') === 'running') return {};
    throw notAllowed('restart', resource, 'the VM is not running');
  },
  async run(context, resource) {
    await context.guests.stop(resource.id, 'shutdown');
    await startGuest(context, resource.id);
    return undefined;
  },
};

function diskEntry(entry: JsonObject): JsonObject {
  const id = textAt(entry, 'diskId');
  if (id === undefined) throw requiredMissing('dataDisksToAttach.diskId');
  return {
    lun: entry.lun,
    createOption: 'Attach',
    managedDisk: { id },
    ...(entry.caching === undefined ? {} : { caching: entry.caching }),
    ...(entry.deleteOption === undefined ? {} : { deleteOption: entry.deleteOption }),
  };
}

/** The same rules as a PUT of the VM with the changed list. */
function changeDisks(context: ArmContext, machine: Resource, ask: Ask): void {
  if (!context.settings.attachDetachDataDisks) {
    throw new ArmError(
      400,
      'BadRequest',
      'The subscription is not enabled for using the attach detach data disks API.',
    );
  }
  const before = objectsAt(machine.properties, 'storageProfile.dataDisks');
  const toDetach = objectsAt(ask.body, 'dataDisksToDetach').map((entry) => textAt(entry, 'diskId'));
  for (const id of toDetach) {
    if (before.some((entry) => sameId(textAt(entry, 'managedDisk.id'), id))) continue;
    throw new ArmError(
      400,
      'InvalidParameter',
      `Disk '${id ?? ''}' is not attached to VM '${machine.name}'.`,
      'dataDisksToDetach',
    );
  }
  const kept = before.map((entry) =>
    toDetach.some((id) => sameId(textAt(entry, 'managedDisk.id'), id))
      ? { ...entry, toBeDetached: true }
      : entry,
  );
  const added = objectsAt(ask.body, 'dataDisksToAttach').map(diskEntry);
  if (added.length + toDetach.length === 0) throw requiredMissing('dataDisksToAttach');
  const profile = objectAt(machine.properties, 'storageProfile') ?? {};
  const draft: Resource = {
    ...machine,
    properties: { ...machine.properties, storageProfile: { ...profile, dataDisks: [...kept, ...added] } },
  };
  const dataDisks = nextDataDisks(context, draft, requireSize(machine), machine);
  context.graph.update(machine.id, (resource) => {
    resource.properties.storageProfile = { ...profile, dataDisks };
  });
}

const attachDetachDataDisks: Action = {
  kind: 'operation',
  shape: { ...machineAction, output: true },
  before(context, resource, ask) {
    changeDisks(context, resource, ask);
    return {};
  },
  async run(context, resource) {
    await context.guests.disksChanged(resource.id);
    finishDetach(context, resource.id);
    const machine = context.graph.get(resource.id) ?? resource;
    const view = { query: new URLSearchParams(), from: 'operation' as const };
    const shown = presentMachine(context, machine, { properties: machine.properties }, view);
    return objectAt(shown, 'properties.storageProfile');
  },
};

function notAllowed(verb: string, machine: Resource, why: string): ArmError {
  return new ArmError(
    409,
    'OperationNotAllowed',
    `Operation '${verb}' is not allowed on VM '${machine.name}' since ${why}.`,
  );
}

/** From here on the disks are an image's: the VM cannot be started again. */
const generalize: Action = {
  kind: 'now',
  answer(context, resource) {
    if (!['stopped', 'deallocated'].includes(powerOf(context, resource)))
      throw notAllowed('generalize', resource, 'the VM is not stopped');
    context.graph.update(resource.id, (stored) => {
      stored.hidden.generalized = true;
    });
    return { status: 200 };
  },
};

/** Nothing here ever waits for maintenance. */
const performMaintenance: Action = {
  kind: 'now',
  answer(_context, resource) {
    throw notAllowed('performMaintenance', resource, 'the Subscription of this VM is not eligible');
  },
};

/** Brings the VM to what is stored of it; here it always is. */
const reapply: Action = { kind: 'operation', shape: machineAction, run: async () => undefined };

const NO_SERIAL_YET = 'guests/none/serial.log';

const retrieveBootDiagnosticsData: Action = {
  kind: 'now',
  async answer(context, resource, ask) {
    if (booleanAt(resource.properties, 'diagnosticsProfile.bootDiagnostics.enabled') !== true) {
      throw new ArmError(
        409,
        'OperationNotAllowed',
        `Boot diagnostics is not enabled on VM '${resource.name}'. Enable it and try again.`,
      );
    }
    const minutes = Number(ask.query.get('sasuriexpirationtimeinminutes') ?? 120);
    const expiresAtMs = context.clock.now() + minutes * 60_000;
    const serial = context.guests.serialLogFile(resource.id) ?? NO_SERIAL_YET;
    await context.guests.takePicture(resource.id);
    return {
      body: {
        consoleScreenshotBlobUri: context.fileUrl(
          serial.replace(/serial\.log$/, 'screenshot.bmp'),
          expiresAtMs,
        ),
        serialConsoleLogBlobUri: context.fileUrl(serial, expiresAtMs),
      },
    };
  },
};

export const machineActions: Readonly<Record<string, Action>> = {
  start,
  restart,
  redeploy: restart,
  reapply,
  generalize,
  performMaintenance,
  simulateEviction,
  powerOff: stopping('stopping', 'stopped'),
  deallocate: stopping('deallocating', 'deallocated'),
  attachDetachDataDisks,
  retrieveBootDiagnosticsData,
};

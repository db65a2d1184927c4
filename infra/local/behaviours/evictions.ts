import { ArmError } from '../arm/arm-error.ts';
import type { Action } from '../arm/behaviour.ts';
import { objectAt, objectsAt, textAt } from '../arm/json.ts';
import { release } from './machine-disks.ts';

/** simulateEviction: a Spot VM loses its place at once; by its policy it stays deallocated or is gone. */
export const simulateEviction: Action = {
  kind: 'now',
  async answer(context, machine) {
    if (textAt(machine.properties, 'priority') !== 'Spot') {
      throw new ArmError(
        409,
        'OperationNotAllowed',
        "Operation 'simulateEviction' is allowed only for Spot Virtual Machines",
      );
    }
    await context.guests.stop(machine.id, 'kill');
    if (textAt(machine.properties, 'evictionPolicy') !== 'Delete') {
      context.graph.update(machine.id, (stored) => {
        stored.hidden.power = 'deallocated';
      });
      return { status: 204 };
    }
    await context.guests.forget(machine.id);
    const storage = objectAt(machine.properties, 'storageProfile') ?? {};
    const held = [objectAt(storage, 'osDisk') ?? {}, ...objectsAt(storage, 'dataDisks')].map((entry) =>
      textAt(entry, 'managedDisk.id'),
    );
    const nics = objectsAt(machine.properties, 'networkProfile.networkInterfaces').map((entry) =>
      textAt(entry, 'id'),
    );
    context.graph.transaction(() => {
      for (const id of [...held, ...nics]) release(context, id ?? '', machine.id);
      context.graph.remove(machine.id);
    });
    await context.guests.networkChanged();
    return { status: 204 };
  },
};

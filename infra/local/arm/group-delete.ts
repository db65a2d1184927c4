import { ArmError } from './arm-error.ts';
import type { Work } from './behaviour.ts';
import type { Core } from './core.ts';
import { acceptDelete } from './delete-resource.ts';
import type { OperationRecord } from './operations.ts';

/**
 * Deletes what is in a resource group, in an order that is found by trying: what is still in use is refused by
 * its behaviour and tried again after the others. Each single deletion is an operation of its own, so a kill in
 * the middle loses nothing: the next start goes on with what is left.
 */
export async function performGroupDelete(
  core: Core,
  record: OperationRecord,
  work: Work,
): Promise<undefined> {
  const resourceGroup = record.resourceId.split('/').at(-1) ?? '';
  for (;;) {
    work.signal.throwIfAborted();
    const left = core.graph.all({ resourceGroup, nested: false });
    if (left.length === 0) return undefined;
    let refusal: ArmError | undefined;
    const accepted: string[] = [];
    for (const resource of left) {
      try {
        const deletion = acceptDelete(core, {
          id: resource.id,
          action: `${resource.type}/delete`,
          apiVersion: record.apiVersion,
          query: new URLSearchParams(),
          wholeGroup: true,
        });
        if (deletion === undefined) continue;
        if (deletion.isNew) core.operations.launch(deletion.record);
        accepted.push(deletion.record.id);
      } catch (error) {
        if (!(error instanceof ArmError)) throw error;
        refusal = error;
      }
    }
    if (accepted.length === 0 && refusal !== undefined) throw refusal;
    await Promise.all(accepted.map((id) => core.operations.ended(id)));
    const failed = accepted
      .map((id) => core.operations.get(id))
      .find((each) => each?.error !== undefined)?.error;
    if (failed !== undefined) throw new ArmError(failed.status, failed.code, failed.message);
  }
}

import { mkdir, writeFile } from 'node:fs/promises';
import { messageOf, StandbyError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { WindowsTools } from './powershell.ts';
import {
  forgetTrace,
  NO_SHADOWS,
  readShadowRecord,
  readTrace,
  type ShadowRecord,
  shadowFiles,
  writeShadowRecord,
} from './shadow-record.ts';
import {
  consistencyOf,
  createOneByOneScript,
  createScript,
  deleteScript,
  madeOneByOne,
  ONE_BY_ONE,
  removeScript,
  SHADOWS_SCRIPT,
  type Shadow,
  setIdIn,
  shadowsOf,
  WRITERS_SCRIPT,
  writersOf,
} from './shadow-words.ts';

/**
 * Makes and deletes the shadow copies of one engine. Promises: all volumes in one set where Windows can; never deletes
 * what is not provably ours; after `remove` none of ours is there, or the next start tries again. Dies at any line: see
 * shadow-record.ts.
 */
export interface ShadowCopiesOptions {
  readonly folder: string;
  readonly tools: WindowsTools;
  readonly log: Log;
}

export interface MadeShadows {
  readonly shadows: readonly Shadow[];
  readonly consistency: string;
}

export class ShadowCopies {
  readonly #options: ShadowCopiesOptions;

  constructor(options: ShadowCopiesOptions) {
    this.#options = options;
  }

  async make(volumes: readonly string[], asSet: boolean): Promise<MadeShadows> {
    const { folder } = this.#options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await this.remove();
    const method = asSet ? 'set' : 'one-by-one';
    const before = (await this.#all()).map(({ id }) => id);
    await forgetTrace(folder);
    await writeShadowRecord(folder, { method, state: 'making', ids: [], before });
    try {
      const ids = asSet ? [await this.#makeSet(volumes)] : await this.#makeOneByOne(volumes);
      const record: ShadowRecord = { method, state: 'standing', ids, before };
      await writeShadowRecord(folder, record);
      const shadows = (await this.#all()).filter((shadow) => isOf(record, shadow));
      if (shadows.length !== volumes.length) {
        throw shadowsFailed(
          `${volumes.length} volumes were asked for, ${shadows.length} shadow copies stand.`,
        );
      }
      const { consistency, writers } = asSet
        ? await this.#writers()
        : { consistency: ONE_BY_ONE, writers: [] };
      this.#options.log.info('a view of the volumes stands', { consistency, writers });
      return { shadows, consistency };
    } catch (error) {
      await this.remove();
      throw error;
    }
  }

  /** Throws when one of them is gone. */
  async assertStand(shadows: readonly Shadow[]): Promise<void> {
    const all = new Set((await this.#all()).map(({ id }) => id));
    const gone = shadows.filter(({ id }) => !all.has(id)).map(({ volume }) => volume);
    if (gone.length === 0) return;
    throw shadowsFailed(
      `Windows gave up the shadow copy of ${gone.join(', ')} while it was read: its storage had no room left, or somebody deleted it.`,
    );
  }

  /** Also what an engine left behind that was killed. */
  async remove(): Promise<void> {
    const { folder, log } = this.#options;
    const record = await this.#found(await readShadowRecord(folder));
    if (record.state === 'none') return;
    const ours = (await this.#all()).filter((shadow) => isOf(record, shadow));
    if (ours.length > 0) await this.#delete(record);
    const left = (await this.#all()).filter((shadow) => isOf(record, shadow));
    if (left.length > 0) {
      throw shadowsFailed(
        `${left.length} of our shadow copies cannot be deleted: ${left.map(({ id }) => id).join(', ')}.`,
      );
    }
    if (record.state === 'making' && record.ids.length === 0) {
      const unknown = (await this.#all()).filter(({ id }) => !record.before.includes(id));
      if (unknown.length > 0) {
        log.warn(
          'shadow copies appeared while an engine that made some was ended; they are not provably ours and stay',
          {
            ids: unknown.map(({ id }) => id),
          },
        );
      }
    }
    await writeShadowRecord(folder, NO_SHADOWS);
  }

  /** What was being made is known by what was logged meanwhile. */
  async #found(record: ShadowRecord): Promise<ShadowRecord> {
    if (record.state !== 'making') return record;
    const traced = await readTrace(this.#options.folder);
    const setId = setIdIn(traced);
    const ids = record.method === 'set' ? (setId ? [setId] : []) : madeOneByOne(traced);
    return { ...record, ids: ids.filter((id) => !record.before.includes(id)) };
  }

  async #makeSet(volumes: readonly string[]): Promise<string> {
    const { folder, tools } = this.#options;
    const { script, trace, metadata } = shadowFiles(folder);
    await writeFile(script, createScript(volumes, metadata), { mode: 0o600 });
    const said = await tools.diskshadow(script, trace);
    const setId = setIdIn(said) ?? setIdIn(await readTrace(folder));
    if (!setId) throw shadowsFailed(`diskshadow named no set: ${said.trim().slice(-500)}`);
    return setId;
  }

  async #makeOneByOne(volumes: readonly string[]): Promise<string[]> {
    const { folder, tools } = this.#options;
    await tools.powershell(createOneByOneScript(volumes, shadowFiles(folder).trace));
    return madeOneByOne(await readTrace(folder));
  }

  async #delete({ method, ids }: ShadowRecord): Promise<void> {
    const { folder, tools } = this.#options;
    if (method === 'one-by-one') {
      await tools.powershell(removeScript(ids));
      return;
    }
    const { script, trace } = shadowFiles(folder);
    await writeFile(script, deleteScript('set', ids), { mode: 0o600 });
    await tools.diskshadow(script, `${trace}.deleted`);
  }

  async #all(): Promise<readonly Shadow[]> {
    const answer = await this.#options.tools.powershell(SHADOWS_SCRIPT);
    try {
      return shadowsOf(answer);
    } catch (error) {
      throw shadowsFailed(
        `What Windows tells of its shadow copies cannot be understood: ${messageOf(error)}`,
      );
    }
  }

  async #writers(): Promise<{ readonly consistency: string; readonly writers: readonly string[] }> {
    const found = writersOf(await this.#options.tools.powershell(WRITERS_SCRIPT));
    const writers = found.map(({ name, state, lastError }) => `${name} [${state}] ${lastError}`);
    return { consistency: consistencyOf(found), writers };
  }
}

function isOf({ method, ids }: ShadowRecord, { id, setId }: Shadow): boolean {
  return ids.includes(method === 'set' ? setId : id);
}

function shadowsFailed(why: string): StandbyError {
  return new StandbyError({
    code: 'SHADOW_COPY_FAILED',
    what: 'Windows gives no view of its volumes that stands still.',
    why,
    next: 'See `vssadmin list writers` and `vssadmin list shadowstorage`, and the events of VSS and volsnap. It is tried again by itself.',
    retry: 'later',
  });
}

import { randomUUID } from 'node:crypto';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { StandbyError } from '../../src/errors.ts';
import { INVENTORY_SCRIPT } from '../../src/master/windows/inventory-script.ts';
import type { WindowsTools } from '../../src/master/windows/powershell.ts';
import { SHADOWS_SCRIPT, WRITERS_SCRIPT } from '../../src/master/windows/shadow-words.ts';
import type { BlockDevice } from '../../src/ports/block-device.ts';

/**
 * A Windows in memory, as far as its shadow copies go: volumes are ranges of one disk, a shadow copy is what such a range
 * held when it was made. It says what diskshadow, WMI and vssadmin say by Microsoft's description of them.
 */
interface MadeShadow {
  readonly id: string;
  readonly setId: string;
  readonly volume: string;
  readonly device: string;
  readonly bytes: Buffer;
}

export interface MadeVolume {
  readonly name: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

export const DISK_PATH = '\\\\.\\PhysicalDrive0';
const GUID = /\{[0-9a-f-]{36}\}/gi;

export class MadeUpWindows implements WindowsTools {
  readonly disk: Buffer;
  shadows: MadeShadow[] = [];
  writers = [{ name: 'System Writer', state: 1, lastError: 'No error' }];
  /** Called after each shadow copy that was made or deleted, and before anybody hears of it. */
  after: (act: 'made' | 'deleted') => Promise<void> | void = () => undefined;
  openDevices = 0;
  readonly #volumes: readonly MadeVolume[];
  readonly #inventory: Record<string, unknown>;
  #number = 0;

  constructor(disk: Buffer, volumes: readonly MadeVolume[], inventory: Record<string, unknown>) {
    this.disk = disk;
    this.#volumes = volumes;
    this.#inventory = inventory;
  }

  async powershell(script: string): Promise<unknown> {
    if (script === INVENTORY_SCRIPT) return this.#inventory;
    if (script === SHADOWS_SCRIPT) return { shadows: this.shadows.map(({ bytes: _, ...told }) => told) };
    if (script === WRITERS_SCRIPT) return { said: this.#writersText().split('\n') };
    if (script.includes('Remove-CimInstance')) {
      await this.#delete((script.match(GUID) ?? []).map((id) => id.toLowerCase()));
      return { removed: true };
    }
    const trace = /\$trace = '(.+)'/.exec(script)?.[1] ?? '';
    for (const { name } of this.#volumes.filter((volume) => script.includes(volume.name))) {
      const [made] = this.#make([name]);
      appendFileSync(trace, `${made?.id.toUpperCase()}\r\n`);
      await this.after('made');
    }
    return { made: [] };
  }

  async diskshadow(scriptPath: string, logPath: string): Promise<string> {
    const script = readFileSync(scriptPath, 'utf8');
    const sets = [...script.matchAll(/^delete shadows set (\{.+\})\r$/gm)].map(([, id]) => id ?? '');
    if (sets.length > 0) {
      await this.#delete(this.shadows.filter(({ setId }) => sets.includes(setId)).map(({ id }) => id));
      return '';
    }
    const names = [...script.matchAll(/^add volume (\S+) alias/gm)].map(([, name]) => name ?? '');
    const [first] = this.#make(names);
    const said = `シャドウ セット ID ${first?.setId} のエイリアス VSS_SHADOW_SET が設定されました。\r\n`;
    writeFileSync(logPath, said);
    await this.after('made');
    return said;
  }

  /** As an engine opens what is under these names. */
  open = async (path: string): Promise<BlockDevice> => {
    const bytes = path === DISK_PATH ? this.disk : this.shadows.find(({ device }) => device === path)?.bytes;
    if (!bytes) throw new StandbyError({ code: 'DISK_VANISHED', what: `${path} is not there.` });
    this.openDevices++;
    return {
      path,
      sizeBytes: bytes.length,
      kind: 'device',
      read: async (target, at) => {
        if (at < 0 || at + target.byteLength > bytes.length) throw new RangeError(`read at ${at} of ${path}`);
        target.set(bytes.subarray(at, at + target.byteLength));
      },
      write: () => Promise.reject(new RangeError('read-only')),
      sync: () => Promise.reject(new RangeError('read-only')),
      identity: async () => path,
      close: async () => {
        this.openDevices--;
      },
    };
  };

  /** Somebody else's, made by hand or by a backup. */
  makeForeign(): string {
    const volume = this.#volumes[0]?.name ?? '';
    return this.#make([volume])[0]?.id ?? '';
  }

  #make(names: readonly string[]): MadeShadow[] {
    const setId = `{${randomUUID()}}`;
    const made = names.map((name) => {
      const volume = this.#volumes.find((one) => one.name === name);
      if (!volume) throw new StandbyError({ code: 'WINDOWS_TOOL_FAILED', what: `no volume ${name}` });
      const { offsetBytes, sizeBytes } = volume;
      const bytes = Buffer.from(this.disk.subarray(offsetBytes, offsetBytes + sizeBytes - 512));
      const device = `\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy${++this.#number}`;
      return { id: `{${randomUUID()}}`, setId, volume: name, device, bytes };
    });
    this.shadows.push(...made);
    return made;
  }

  async #delete(ids: readonly string[]): Promise<void> {
    this.shadows = this.shadows.filter(({ id }) => !ids.includes(id));
    await this.after('deleted');
  }

  #writersText(): string {
    return this.writers
      .map(
        ({ name, state, lastError }) =>
          `ライター名: '${name}'\n   ライター Id: {${randomUUID()}}\n   状態: [${state}] x\n   最後のエラー: ${lastError}\n`,
      )
      .join('\n');
  }
}

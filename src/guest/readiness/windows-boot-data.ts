import type { Verdict } from '../../model/verdict.ts';
import type { GuestVolume } from '../guest-disk.ts';
import type { Hive } from '../hive.ts';
import type { Generation } from './boot-chain.ts';
import { broken, good, unproven } from './fact.ts';
import { loadHive } from './windows-hive.ts';

/** The boot configuration data: a hive whose boot manager must lead to a loader that fits the firmware. */
const TITLE = 'Boot configuration (BCD)';
const BOOT_MANAGER = '{9dea862c-5cdd-4e70-acc1-f32b344d4795}';
const ELEMENT = { default: '23000003', order: '24000001', path: '12000002' } as const;
const PLACES = { 1: 'Boot/BCD', 2: 'EFI/Microsoft/Boot/BCD' } as const;
const LOADERS = { 1: 'winload.exe', 2: 'winload.efi' } as const;

export async function bootDataVerdict(volume: GuestVolume, generation: Generation): Promise<Verdict> {
  const place = PLACES[generation];
  if (!volume.tree) return unproven('BCD', TITLE, `${volume.name}: ${volume.unreadable ?? 'not readable'}`);
  const loaded = await loadHive(volume.tree, place);
  const cure = `bcdboot C:\\Windows /s S: /f ${generation === 1 ? 'BIOS' : 'UEFI'}`;
  const expected = `${place} on ${volume.name}, whose default entry starts ${LOADERS[generation]}`;
  if (!loaded) return broken('BCD', TITLE, { found: `no ${place} on ${volume.name}`, expected, cure });
  const found = faultOf(loaded.hive, generation);
  if (found) return broken('BCD', TITLE, { found, expected, cure });
  return good('BCD', TITLE, `${place} leads to ${LOADERS[generation]}`);
}

function faultOf(hive: Hive, generation: Generation): string | undefined {
  const element = (object: string, code: string) => hive.key(`Objects\\${object}\\Elements\\${code}`);
  if (!hive.key(`Objects\\${BOOT_MANAGER}`)) return 'it has no boot manager';
  const entry =
    hive.text(element(BOOT_MANAGER, ELEMENT.default), 'Element') ??
    hive.texts(element(BOOT_MANAGER, ELEMENT.order), 'Element')[0];
  if (!entry) return 'its boot manager has no entry';
  if (!hive.key(`Objects\\${entry}`)) return `its default entry ${entry} does not exist`;
  const path = hive.text(element(entry, ELEMENT.path), 'Element');
  if (path?.toLowerCase().endsWith(LOADERS[generation])) return undefined;
  return `its default entry starts ${path ?? 'nothing'}`;
}

import type { Command } from 'commander';
import { optionText } from './answers.ts';
import { type Call, leaf } from './command.ts';
import { note } from './people.ts';
import { bytesText } from './rendering.ts';
import type { Shell } from './shell.ts';

export function addInspectCommand(program: Command, shell: Shell): void {
  leaf(
    program,
    'inspect',
    'Shows what lies on a disk or a disk image, and how much of it is used',
    shell,
    inspect,
  )
    .requiredOption('--disk <image>', 'a raw disk image or a block device; it is only read')
    .option(
      '--map <file>',
      'write the map of used blocks: one bit for each 4 KiB, least significant bit first',
    );
}

async function inspect(call: Call): Promise<unknown> {
  const { inspectDisk } = await import('../control/inspect.ts');
  const mapFile = optionText(call, 'map');
  const found = await inspectDisk({
    disk: String(call.options.disk),
    ...(mapFile === undefined ? {} : { mapFile }),
    signal: call.shell.signal,
  });
  const firmware = found.partitionTable === 'none' ? '' : `, boots by ${found.firmware.toUpperCase()}`;
  const os = found.osHint ? `, holds ${found.osHint === 'linux' ? 'Linux' : 'Windows'} file systems` : '';
  const table = found.partitionTable === 'none' ? 'no partition table' : found.partitionTable.toUpperCase();
  note(call, `${found.disk}: ${bytesText(found.sizeBytes)}, ${table}${firmware}${os}.`);
  if (found.volumes.length > 0) {
    call.host.tell({
      kind: 'table',
      columns: ['volume', 'file system', 'label', 'begins at', 'size', 'used', 'free blocks'],
      rows: found.volumes.map((volume) => [
        volume.id,
        volume.fileSystem,
        volume.label ?? '',
        bytesText(volume.offsetBytes),
        bytesText(volume.sizeBytes),
        bytesText(volume.usedBytes),
        volume.countedWhole ?? 'known',
      ]),
    });
  }
  note(
    call,
    `A copy carries at most ${bytesText(found.usedBytes)} of it; what cannot be judged counts as used.`,
  );
  if (found.map) note(call, `The map of ${found.map.blocks} blocks of 4 KiB is in ${found.map.file}.`);
  return found;
}

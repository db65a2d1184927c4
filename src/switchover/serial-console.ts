import { stripVTControlCharacters } from 'node:util';

/**
 * Reads signs out of a serial console. A pure function of its text.
 *
 * Firmware talks on the console even when there is nothing to boot, so its own lines are no sign of life; and a
 * boot loader that gives up or a kernel that panics is worse than silence.
 */
export interface SerialSigns {
  /** Printable lines that are not the firmware's. */
  readonly lines: number;
  readonly lastLine: string | undefined;
  /** The line that says that the boot has failed. */
  readonly fault: string | undefined;
}

const FIRMWARE = [
  /^SeaBIOS/,
  /^iPXE/,
  /^Booting from/i,
  /^Press .* (menu|setup|key)/i,
  /^BdsDxe: /,
  /^UEFI /,
  /^>>\s*Start (PXE|HTTP)/i,
  /^(Machine UUID|drive 0x)/,
  /^Loading \.\.\.$/,
];

const FAULTS = [
  /no bootable (device|medium)/i,
  /boot failed/i,
  /kernel panic/i,
  /grub rescue>/i,
  /BOOTMGR is missing/i,
  /error: (no such|unknown|disk|file|symbol)/i,
  /unable to mount root/i,
  /you are in emergency mode/i,
  /dracut:\/#|\(initramfs\)/,
  /failed to (load|start) Boot\d{4}|No bootable option/i,
  /Shell>/,
];

export function readSerialSigns(text: string): SerialSigns {
  const lines = plain(text)
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => /[\p{L}\p{N}]{2}/u.test(line));
  const guest = lines.filter((line) => !FIRMWARE.some((pattern) => pattern.test(line)));
  const fault = guest.findLast((line) => FAULTS.some((pattern) => pattern.test(line)));
  const healthy = guest.filter((line) => !FAULTS.some((pattern) => pattern.test(line)));
  return { lines: healthy.length, lastLine: guest.at(-1), fault };
}

/** Without terminal sequences and control characters; Node's own reader knows the sequences. */
function plain(text: string): string {
  return stripVTControlCharacters(text).replace(/[^\t\r\n\u0020-\u007e\u00a0-\uffff]/g, '');
}

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

/** How the firmware's lines begin: one that is still being written is not the guest's. */
const BEGINNINGS = [
  'SeaBIOS',
  'iPXE',
  'Booting from',
  'Press ',
  'BdsDxe: ',
  'UEFI ',
  '>>Start',
  '>> Start',
  'Machine UUID',
  'drive 0x',
  'Loading ...',
];

const FIRMWARE = [
  /^SeaBIOS/,
  /^iPXE/,
  /^Booting from/i,
  /^Press /i,
  /^BdsDxe: /,
  /^UEFI /,
  /^>>\s*Start/i,
  /^(Machine UUID|drive 0x)/,
  /^Loading \.\.\.$/,
];

/** One try of several may fail so, by firmware or boot loader; a guest that speaks afterwards has booted. */
const FAILED_TRY = [
  /no bootable (device|medium|option)/i,
  /boot failed/i,
  /BOOTMGR is missing/i,
  /^error: (no such|unknown|disk|file|symbol)/i,
  /failed to (load|start) Boot\d{4}/i,
  /^Shell>/,
];

/** From these no guest comes back by itself. */
const FATAL = [
  /kernel panic/i,
  /grub rescue>/i,
  /unable to mount root/i,
  /you are in emergency mode/i,
  /reached target emergency/i,
  /dracut:\/#|\(initramfs\)/,
];

export function readSerialSigns(text: string): SerialSigns {
  let lines = 0;
  let lastLine: string | undefined;
  let fault: string | undefined;
  let fatal: string | undefined;
  const isOne = (patterns: readonly RegExp[], line: string) => patterns.some((pattern) => pattern.test(line));
  const all = linesOf(text);
  for (const [index, line] of all.entries()) {
    if (isOne(FATAL, line)) fatal = line;
    else if (isOne(FAILED_TRY, line)) fault = line;
    else if (!isOne(FIRMWARE, line) && !(index === all.length - 1 && isBeginning(line))) {
      lines++;
      lastLine = line;
      fault = undefined;
    }
  }
  return { lines, lastLine, fault: fatal ?? fault };
}

function isBeginning(line: string): boolean {
  return BEGINNINGS.some((each) => each.startsWith(line));
}

function linesOf(text: string): string[] {
  return plain(text)
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => /[\p{L}\p{N}]{2}/u.test(line));
}

/**
 * ECMA-48, 5.4, with private parameters too: firmware begins with ESC [ = 3 h, of which Node's own reader leaves the end.
 * One that is still being written when the text is read is none of the guest's words either.
 */
const CONTROL_SEQUENCE = new RegExp(`${String.fromCharCode(27)}\\[[0-?]*[ -/]*([@-~]|$)`, 'g');

/** Without terminal sequences and control characters; Node's own reader knows the other sequences. */
function plain(text: string): string {
  return stripVTControlCharacters(text.replace(CONTROL_SEQUENCE, '')).replace(
    /[^\t\r\n\u0020-\u007e\u00a0-\uffff]/g,
    '',
  );
}

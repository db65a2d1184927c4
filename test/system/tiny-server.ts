import { execFileSync } from 'node:child_process';
import { closeSync, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { MIB } from '../../src/model/disk.ts';

/** What the tiny server says on its first serial port. */
export const GREETING = 'kiosk is up';

/**
 * A server that boots in a moment: a partition with an ext4 file system, and a boot sector that greets on the serial
 * port and halts. 16-bit code, loaded at 7C00h:
 *   xor ax,ax; mov ds,ax; mov dx,3F8h; mov si,text; cld; next: lodsb; test al,al; jz stop; out dx,al; jmp next;
 *   stop: hlt; jmp stop
 */
const CODE = '31c0 8ed8 baf803 be167c fc ac 84c0 7403 ee ebf8 f4 ebfd';

export function makeTinyServer(file: string, sizeMib: number): void {
  writeFileSync(file, '');
  truncateSync(file, sizeMib * MIB);
  execFileSync('/usr/sbin/sfdisk', ['--quiet', file], {
    input: 'label: dos\nstart=2048, type=83, bootable\n',
  });
  const offset = ['-E', `offset=${MIB}`];
  execFileSync('/usr/sbin/mke2fs', ['-q', '-t', 'ext4', ...offset, file, `${sizeMib - 2}M`]);
  const boot = Buffer.concat([
    Buffer.from(CODE.replaceAll(' ', ''), 'hex'),
    Buffer.from(`\r\n${GREETING}\r\n\0`, 'latin1'),
  ]);
  const disk = openSync(file, 'r+');
  writeSync(disk, boot, 0, boot.length, 0);
  closeSync(disk);
}

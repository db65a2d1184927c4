import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { powershellArguments, windowsTools } from '../../src/master/windows/powershell.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'standby-windows-'));
});
afterEach(() => rm(root, { recursive: true }));

/** A program in PowerShell's place that says what it is told to. */
async function powershellSaying(script: string) {
  const folder = join(root, 'System32', 'WindowsPowerShell', 'v1.0');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'powershell.exe'), `#!/bin/sh\n${script}\n`);
  await chmod(join(folder, 'powershell.exe'), 0o755);
  return windowsTools(root);
}

const ask = async (script: string, timeoutMs?: number) =>
  (await powershellSaying(script)).powershell('1', timeoutMs === undefined ? {} : { timeoutMs });

describe('PowerShell', () => {
  it('gets its script encoded, whatever signs are in it, and answers in UTF-8 by itself', () => {
    const args = powershellArguments('"日本語 `$(1) \'\'"');
    expect(args.slice(0, 3)).toEqual(['-NoLogo', '-NoProfile', '-NonInteractive']);
    const script = Buffer.from(args.at(-1) ?? '', 'base64').toString('utf16le');
    expect(script).toContain('"日本語 `$(1) \'\'"');
    expect(script).toContain('[Text.Encoding]::UTF8.GetBytes');
    expect(() => powershellArguments('x'.repeat(12_000))).toThrow('too long');
  });

  it('gives its value, with a byte order mark or without', async () => {
    expect(await ask(`printf '{"value":{"name":"イーサネット"}}'`)).toEqual({ name: 'イーサネット' });
    expect(await ask(`printf '\\357\\273\\277{"value":null}'`)).toBeNull();
  });

  it('says what failed in the script, and where', async () => {
    const said = '{"failed":{"message":"アクセスが拒否されました","at":"Get-CimInstance MSFT_Disk"}}';
    await expect(ask(`printf '${said}'`)).rejects.toMatchObject({
      code: 'WINDOWS_TOOL_FAILED',
      why: 'アクセスが拒否されました (Get-CimInstance MSFT_Disk)',
      retry: 'later',
    });
  });

  it('says what it said when it ends badly, answers nonsense, or is not there', async () => {
    await expect(ask('echo broken >&2; exit 3')).rejects.toThrow(/It ended with 3\. broken/);
    await expect(ask('echo hello')).rejects.toThrow(/cannot be understood/);
    await expect(windowsTools(join(root, 'nowhere')).powershell('1')).rejects.toThrow('ENOENT');
  });

  it('is ended when it does not end by itself, or says too much', async () => {
    await expect(ask('exec sleep 60', 200)).rejects.toThrow('It did not end within 0 s');
    await expect(ask('exec head -c 20000000 /dev/zero')).rejects.toMatchObject({
      code: 'WINDOWS_TOOL_FAILED',
    });
  });
});

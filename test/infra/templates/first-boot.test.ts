import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { makeFirstBoot } from '../../../infra/templates/first-boot.ts';
import { makeTlsFiles, type TlsFiles } from './tls-files.ts';

/** The script is run for real, as cloud-init would run it, in a folder that stands for the guest's root. */
interface CloudConfig {
  readonly write_files: readonly { path: string; permissions: string; content: string }[];
  readonly runcmd: readonly (readonly string[])[];
}

const SECRET = 'one-time-token-4711';
let folder: string;
let tls: TlsFiles;
let server: Server;
let requests: string[];
let bundle: Buffer;
let root: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'standby-first-boot-'));
  tls = await makeTlsFiles();
  const content = join(folder, 'content');
  mkdirSync(content);
  writeFileSync(join(content, 'engine.mjs'), 'export {};\n');
  writeFileSync(join(content, 'node'), '#!/bin/sh\nexit 0\n');
  chmodSync(join(content, 'node'), 0o755);
  execFileSync('tar', ['-czf', join(folder, 'bundle.tar.gz'), '-C', content, '.']);
  bundle = readFileSync(join(folder, 'bundle.tar.gz'));
  server = createServer({ key: tls.keyPem, cert: tls.certificatePem }, (request, response) => {
    requests.push(request.url ?? '');
    response.end(bundle);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  requests = [];
  root = mkdtempSync(join(folder, 'root-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function userData(facts: { sha256?: string; caPem?: string } = {}): CloudConfig {
  const { port } = server.address() as AddressInfo;
  const text = makeFirstBoot({ cacheFolder: folder }).userData({
    bundleUrl: `https://127.0.0.1:${port}/standby/engine.tar.gz?sv=1&sig=a%2Fb'c`,
    bundleSha256: facts.sha256 ?? createHash('sha256').update(bundle).digest('hex'),
    bundleCaPem: facts.caPem ?? tls.caPem,
    applianceId: 'appliance-1',
    token: SECRET,
    caSha256: 'ab'.repeat(32),
  });
  expect(text.startsWith('#cloud-config\n')).toBe(true);
  return parse(text) as CloudConfig;
}

/** What cloud-init does, and a systemctl that writes down how it was called. */
function install(config: CloudConfig): void {
  for (const file of config.write_files) {
    const target = join(root, file.path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, file.content);
    chmodSync(target, Number.parseInt(file.permissions, 8));
  }
  mkdirSync(join(root, 'bin'));
  const systemctl = join(root, 'bin', 'systemctl');
  writeFileSync(systemctl, `#!/bin/sh\necho "$*" >>"${root}/systemctl.log"\n`);
  chmodSync(systemctl, 0o755);
}

function run(config: CloudConfig): Promise<{ code: number; output: string }> {
  const [shell = '', script = ''] = config.runcmd[0] ?? [];
  const env = {
    PATH: `${join(root, 'bin')}:/usr/sbin:/usr/bin:/sbin:/bin`,
    STANDBY_ROOT: root,
    STANDBY_DOWNLOAD_TRIES: '2',
    STANDBY_DOWNLOAD_PAUSE: '0',
  };
  return new Promise((resolve) => {
    execFile(shell, [join(root, script)], { env }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr });
    });
  });
}

const called = () =>
  existsSync(join(root, 'systemctl.log')) ? readFileSync(join(root, 'systemctl.log'), 'utf8') : '';

describe('first boot of an appliance', () => {
  it('fetches the bundle, proves it, writes the unit and starts the service', async () => {
    const config = userData();
    install(config);
    const { code, output } = await run(config);
    expect(output).toContain('standby: the appliance engine is started');
    expect(code).toBe(0);
    expect(requests).toEqual(["/standby/engine.tar.gz?sv=1&sig=a%2Fb'c"]);
    expect(called()).toBe('enable --now standby-appliance\n');
    const unit = readFileSync(join(root, 'etc/systemd/system/standby-appliance.service'), 'utf8');
    expect(unit).toContain(
      `ExecStart=${root}/opt/standby/engine/node ${root}/opt/standby/engine/engine.mjs engine appliance ` +
        `--state ${root}/var/lib/standby --enrol ${root}/etc/standby/enrol.json ` +
        `--luns ${root}/dev/disk/azure/scsi1 --listen 0.0.0.0:25000\n`,
    );
    expect(unit).toContain('Restart=always');
    expect(existsSync(join(root, 'var/lib/standby'))).toBe(true);
    expect(output).not.toContain(SECRET);
    expect(output).not.toContain('sig=');
  });

  it('starts nothing when the digest is wrong, and says why', async () => {
    const config = userData({ sha256: '0'.repeat(64) });
    install(config);
    const { code, output } = await run(config);
    expect(code).toBe(1);
    const found = createHash('sha256').update(bundle).digest('hex');
    expect(output).toContain(
      `standby: failed: the bundle has the digest ${found}, not ${'0'.repeat(64)}; nothing was started`,
    );
    expect(called()).toBe('');
    expect(existsSync(join(root, 'opt/standby/engine'))).toBe(false);
    expect(existsSync(join(root, 'etc/systemd/system/standby-appliance.service'))).toBe(false);
  });

  it('downloads nothing twice when it runs again, and finishes what was begun', async () => {
    const config = userData();
    install(config);
    expect((await run(config)).code).toBe(0);
    rmSync(join(root, 'etc/systemd/system/standby-appliance.service'));
    const { code, output } = await run(config);
    expect(code).toBe(0);
    expect(output).toContain('the engine is already here');
    expect(requests).toHaveLength(1);
    expect(existsSync(join(root, 'etc/systemd/system/standby-appliance.service'))).toBe(true);
  });

  it('trusts no server whose certificate is from another authority', async () => {
    const config = userData({ caPem: (await makeTlsFiles()).caPem });
    install(config);
    const { code, output } = await run(config);
    expect(code).toBe(1);
    expect(output).toContain('standby: failed: the bundle could not be downloaded');
    expect(requests).toEqual([]);
    expect(called()).toBe('');
  });

  it('keeps what is secret from other users of the machine', () => {
    const config = userData();
    install(config);
    for (const path of ['etc/standby/enrol.json', 'etc/standby/first-boot.env']) {
      expect(statSync(join(root, path)).mode & 0o777).toBe(0o600);
    }
    expect(JSON.parse(readFileSync(join(root, 'etc/standby/enrol.json'), 'utf8'))).toEqual({
      applianceId: 'appliance-1',
      token: SECRET,
      caSha256: 'ab'.repeat(32),
    });
  });
});

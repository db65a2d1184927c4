import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LocalEndpoint } from '../../infra/local/local-azure.ts';
import { type AzureContext, startAzureContext } from '../control/azure-context.ts';
import { addWhatOthersMake, commandPath, withAppliance } from '../control/role-path.ts';

/**
 * A client that nobody here wrote: Debian's azure-cli against the Local Azure on which Standby has switched over. Its
 * profile is the one of 2020, because Debian's CLI and its libraries do not match for VMs and networks of the newest.
 */
let local: AzureContext;
let folder = '';
let lane: Lane;

beforeAll(async () => {
  local = await startAzureContext();
  folder = mkdtempSync(path.join(tmpdir(), 'standby-az-'));
  const context = withAppliance(local);
  for (const command of commandPath(local, context, 'azure-dns')) {
    await command.run();
    if (command.name === 'appliance deploy') await addWhatOthersMake(local);
    if (command.name === 'switchover') break;
  }
  const { endpoint } = local.azure;
  const { tenantId, applicationId, clientSecret } = endpoint;
  writeCloud(endpoint);
  lane = startAz(folder);
  await lane.az(
    'login',
    '--service-principal',
    '-u',
    applicationId,
    '-p',
    clientSecret,
    '--tenant',
    tenantId,
  );
}, 120_000);

afterAll(async () => {
  await lane?.end();
  await local?.close();
  if (folder !== '') rmSync(folder, { recursive: true, force: true });
});

/** What `az cloud register` and `az cloud set` would write, at the price of two seconds each. */
function writeCloud(endpoint: LocalEndpoint): void {
  const system = '/etc/ssl/certs/ca-certificates.crt';
  writeFileSync(
    path.join(folder, 'ca.pem'),
    `${readFileSync(endpoint.caFile, 'utf8')}\n${readFileSync(system, 'utf8')}`,
  );
  const { url } = endpoint;
  const cloud = {
    endpoint_resource_manager: url,
    endpoint_management: `${url}/`,
    endpoint_active_directory: `${url}/adfs`,
    endpoint_active_directory_resource_id: `${url}/`,
    endpoint_active_directory_graph_resource_id: `${url}/graph/`,
    suffix_storage_endpoint: 'core.localtest',
    suffix_keyvault_dns: '.vault.localtest',
    profile: '2020-09-01-hybrid',
  };
  const lines = Object.entries(cloud).map(([name, value]) => `${name} = ${value}`);
  writeFileSync(path.join(folder, 'clouds.config'), `[Local]\n${lines.join('\n')}\n`);
  writeFileSync(path.join(folder, 'config'), '[cloud]\nname = Local\n[core]\ncollect_telemetry = no\n');
}

/** az itself, command after command in one process: what takes a second each time is only its start. */
const AZ = `
import io, json, sys
from azure.cli.core import get_default_cli
from contextlib import redirect_stderr
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stderr(err):
        try:
            code = get_default_cli().invoke(json.loads(line), out_file=out)
        except SystemExit as end:
            code = end.code
    print(json.dumps({'code': code, 'out': out.getvalue(), 'err': err.getvalue()}), flush=True)
`;

interface Lane {
  /** The document of one command, or nothing. */
  az(...args: string[]): Promise<unknown>;
  end(): Promise<void>;
}

function startAz(home: string): Lane {
  const child = spawn('/usr/bin/python3', ['-c', AZ], {
    env: {
      PATH: process.env.PATH,
      HOME: home,
      AZURE_CONFIG_DIR: home,
      REQUESTS_CA_BUNDLE: path.join(home, 'ca.pem'),
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    async az(...args) {
      child.stdin.write(`${JSON.stringify([...args, '--output', 'json', '--only-show-errors'])}\n`);
      const { value, done } = await lines.next();
      const command = `az ${args.slice(0, 3).join(' ')}`;
      if (done === true) throw new Error(`${command}: the process ended: ${said}`);
      const { code, out, err } = JSON.parse(value) as { code: number; out: string; err: string };
      if (code !== 0) throw new Error(`${command} ended with ${code}: ${err}${said}`);
      return out.trim() === '' ? undefined : JSON.parse(out);
    },
    end() {
      child.stdin.end();
      child.kill();
      return closed;
    },
  };
}

const names = (document: unknown) => (document as { name: string }[]).map((each) => each.name).sort();

describe('azure-cli, after a switchover', { timeout: 120_000 }, () => {
  const inGroup = ['-g', 'fresh-rg'];
  const named = (...args: string[]) => lane.az(...args).then((list) => names(list));

  it('lists groups, VMs, disks, NICs and security groups as the product made them', async () => {
    expect(await named('group', 'list')).toContain('fresh-rg');
    expect(await named('vm', 'list', ...inGroup)).toContain('web01');
    expect((await named('disk', 'list', ...inGroup)).length).toBeGreaterThan(2);
    expect((await named('network', 'nic', 'list', ...inGroup)).length).toBeGreaterThan(1);
    expect(await named('network', 'nsg', 'list', ...inGroup)).toContain('gate-nsg');
  });

  it('makes a disk and a snapshot of it, and removes both', async () => {
    const disk = await lane.az('disk', 'create', ...inGroup, '-n', 'az-disk', '--size-gb', '4');
    expect(disk).toMatchObject({ name: 'az-disk', diskSizeGb: 4, provisioningState: 'Succeeded' });
    await lane.az('snapshot', 'create', ...inGroup, '-n', 'az-snapshot', '--source', 'az-disk');
    expect(await named('snapshot', 'list', ...inGroup)).toContain('az-snapshot');
    await lane.az('snapshot', 'delete', ...inGroup, '-n', 'az-snapshot');
    await lane.az('disk', 'delete', ...inGroup, '-n', 'az-disk', '--yes');
    expect(await named('snapshot', 'list', ...inGroup)).not.toContain('az-snapshot');
    expect(await named('disk', 'list', ...inGroup)).not.toContain('az-disk');
  });

  it('deallocates and starts the standby', async () => {
    const machine = [...inGroup, '-n', 'web01'];
    const power = async () => {
      const view = await lane.az('vm', 'get-instance-view', ...machine);
      const { statuses } = (view as { instanceView: { statuses: { code: string }[] } }).instanceView;
      return statuses.map((each) => each.code).find((code) => code.startsWith('PowerState/'));
    };
    await lane.az('vm', 'deallocate', ...machine);
    expect(await power()).toBe('PowerState/deallocated');
    await lane.az('vm', 'start', ...machine);
    expect(await power()).toBe('PowerState/running');
  });
});

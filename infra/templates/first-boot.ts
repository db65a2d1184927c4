import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { FirstBoot } from '../../src/ports/first-boot.ts';
import { buildBundle } from './bundle.ts';

/** How an appliance VM gets its engine: docs/ARCHITECTURE.md, "First boot of an appliance". */
export function makeFirstBoot({ cacheFolder }: { readonly cacheFolder: string }): FirstBoot {
  return {
    bundle: () => buildBundle({ cacheFolder }),
    userData,
  };
}

type Facts = Parameters<FirstBoot['userData']>[0];

const CA_FILE = '/etc/standby/bundle-ca.pem';

function userData(facts: Facts): string {
  const environment = [
    `BUNDLE_URL=${quoted(facts.bundleUrl)}`,
    `BUNDLE_SHA256=${quoted(facts.bundleSha256)}`,
    ...(facts.bundleCaPem === undefined ? [] : [`BUNDLE_CA_FILE=${quoted(CA_FILE)}`]),
  ];
  const enrol = { applianceId: facts.applianceId, token: facts.token, caSha256: facts.caSha256 };
  const script = readFileSync(join(import.meta.dirname, 'first-boot.sh'), 'utf8');
  const files = [
    { path: '/etc/standby/first-boot.env', permissions: '0600', content: `${environment.join('\n')}\n` },
    { path: '/etc/standby/enrol.json', permissions: '0600', content: `${JSON.stringify(enrol)}\n` },
    ...(facts.bundleCaPem === undefined
      ? []
      : [{ path: CA_FILE, permissions: '0644', content: facts.bundleCaPem }]),
    { path: '/opt/standby/first-boot.sh', permissions: '0755', content: script },
  ];
  const config = {
    write_files: files.map((file) => ({ ...file, owner: 'root:root' })),
    runcmd: [['sh', '/opt/standby/first-boot.sh']],
  };
  return `#cloud-config\n${stringify(config, { lineWidth: 0 })}`;
}

/** For a POSIX shell that reads the file. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { writeDurably } from './files.ts';
import type { LocalEndpoint } from './local-azure.ts';

/** What other Azure clients need: SDKs by environment variables, az CLI by a registered cloud. */
const SYSTEM_CAS = '/etc/ssl/certs/ca-certificates.crt';

export function environmentOf(folder: string, endpoint: LocalEndpoint) {
  const bundleFile = path.join(folder, 'ca-bundle.pem');
  const system = existsSync(SYSTEM_CAS) ? readFileSync(SYSTEM_CAS, 'utf8') : '';
  writeDurably(bundleFile, `${readFileSync(endpoint.caFile, 'utf8')}${system}`, 0o644);
  const variables = {
    AZURE_SUBSCRIPTION_ID: endpoint.subscriptionId,
    AZURE_TENANT_ID: endpoint.tenantId,
    AZURE_CLIENT_ID: endpoint.applicationId,
    AZURE_CLIENT_SECRET: endpoint.clientSecret,
    AZURE_AUTHORITY_HOST: endpoint.authorityUrl,
    AZURE_RESOURCE_MANAGER_URL: endpoint.url,
    NODE_EXTRA_CA_CERTS: endpoint.caFile,
    SSL_CERT_FILE: bundleFile,
    REQUESTS_CA_BUNDLE: bundleFile,
    AZURE_CONFIG_DIR: path.join(folder, 'az'),
    AZURE_CORE_COLLECT_TELEMETRY: 'false',
  };
  const azCli = azCommands(endpoint);
  return {
    document: { variables, azCli },
    lines: [
      ...Object.entries(variables).map(([name, value]) => `export ${name}=${quoted(value)}`),
      '# az CLI, once:',
      ...azCli,
    ],
  };
}

/** An authority that ends in /adfs keeps az CLI from asking Microsoft's own instance discovery. */
function azCommands({ url }: LocalEndpoint): string[] {
  const cloud = [
    `az cloud register -n LocalAzure --endpoint-resource-manager ${url}`,
    `--endpoint-active-directory ${url}/adfs --endpoint-active-directory-resource-id ${url}/`,
    `--endpoint-management ${url}/ --endpoint-active-directory-graph-resource-id ${url}/graph/`,
    '--suffix-storage-endpoint core.localtest --suffix-keyvault-dns .vault.localtest --profile latest',
  ].join(' ');
  return [
    cloud,
    'az cloud set -n LocalAzure',
    'az login --service-principal -u "$AZURE_CLIENT_ID" -p "$AZURE_CLIENT_SECRET" --tenant "$AZURE_TENANT_ID"',
  ];
}

function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

import type { Finding } from './oav-judge.ts';

/**
 * Findings that are no defects. `fact` says where it is written: sections of ../shared/azure/azure-rest-facts.md, or
 * a recording of ../shared/azure/data/recordings.
 */
interface Allowed {
  readonly reason: string;
  readonly fact: string;
  matches(finding: Finding): boolean;
}

const isOf = (finding: Finding, ...types: readonly string[]) =>
  types.some((type) => new RegExp(`/providers/${type}(/|$)`, 'i').test(finding.path));

const ALLOWED: readonly Allowed[] = [
  {
    reason:
      'the specs of disks, snapshots and storage have no answer but success; real Azure refuses there all the same',
    fact: 'section 3, calibration on real traffic: 404 on GET snapshot',
    matches: (finding) =>
      finding.code === 'INVALID_RESPONSE_CODE' &&
      finding.status >= 400 &&
      isOf(finding, 'Microsoft.Compute/(disks|snapshots)', 'Microsoft.Storage/storageAccounts'),
  },
  {
    reason:
      'what a role does not allow is refused before any provider is asked; some specs have no answer but success',
    fact: 'section 5, errors: 403 AuthorizationFailed, recorded',
    matches: (finding) => finding.code === 'INVALID_RESPONSE_CODE' && finding.status === 403,
  },
  {
    reason:
      'no spec describes the URLs of operations under way; their answers are compared with recordings instead',
    fact: 'section 4, the column "poll"',
    matches: (finding) =>
      finding.code === 'OPERATION_NOT_FOUND_IN_CACHE' &&
      /\/locations\/[^/]+\/(operations|DiskOperations|operationResults|asyncoperations)\/[^/]+$/i.test(
        finding.path,
      ),
  },
  {
    reason: 'the end of a deleted group has no body, though the spec of that path wants one',
    fact: 'recording java_canCreateVirtualMachineByAttachingManagedOsDisk, its last interaction',
    matches: (finding) =>
      finding.code === 'INVALID_RESPONSE_BODY' && /\/operationresults\/[^/]+$/i.test(finding.path),
  },
  {
    reason: 'the data set has no specs of Microsoft.Authorization and of DNS zones',
    fact: 'section 2, the list of specs',
    matches: (finding) =>
      /^OPERATION_NOT_FOUND_IN_CACHE(_WITH_PROVIDER)?$/.test(finding.code) &&
      isOf(finding, 'Microsoft.Authorization', 'Microsoft.Network/(dnsZones|privateDnsZones)'),
  },
  {
    reason:
      'the validator looks for a provider’s own path, and for its registration, in the specs of that provider',
    fact: 'section 3: operations are found by the provider of the path; these are of Microsoft.Resources',
    matches: (finding) =>
      /^OPERATION_NOT_FOUND_IN_CACHE(_WITH_API)?$/.test(finding.code) &&
      /^\/subscriptions\/[^/]+\/providers\/microsoft\.[a-z]+(\/(un)?register)?$/i.test(finding.path),
  },
  {
    reason: 'real Azure shows the kind of a NIC, which no spec has',
    fact: 'section 3, calibration on real traffic: NIC kind',
    matches: (finding) =>
      /additional properties/i.test(finding.text) &&
      /\bkind\b/.test(finding.text) &&
      isOf(finding, 'Microsoft.Network/networkInterfaces'),
  },
  {
    reason: 'real Azure spells the permission of a storage key FULL',
    fact: 'section 3, calibration on real traffic: enum case',
    matches: (finding) => finding.code === 'ENUM_CASE_MISMATCH' && /listKeys$/i.test(finding.path),
  },
  {
    reason:
      'what Local Azure does not do has a name and no spec: 501, or 404 where nobody has such a provider',
    fact: 'infra/local/SPEC.md, what is not there',
    matches: (finding) =>
      finding.side === 'response' &&
      /^OPERATION_NOT_FOUND/.test(finding.code) &&
      (finding.status === 501 || finding.status === 404),
  },
];

export function isAllowed(finding: Finding): boolean {
  return ALLOWED.some((each) => each.matches(finding));
}

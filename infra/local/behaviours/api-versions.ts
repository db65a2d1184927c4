/** The api-versions each provider accepts, newest first: those the pinned SDKs send, and older ones other clients use. */
export const COMPUTE_VERSIONS = [
  '2026-04-01',
  '2025-04-01',
  '2024-11-01',
  '2024-07-01',
  '2024-03-01',
  '2023-09-01',
];
export const DISK_VERSIONS = ['2026-03-02', '2025-01-02', '2024-03-02', '2023-10-02', '2023-04-02'];
export const SKU_VERSIONS = ['2021-07-01', '2019-04-01'];
export const NETWORK_VERSIONS = [
  '2026-01-01',
  '2025-05-01',
  '2025-01-01',
  '2024-07-01',
  '2024-05-01',
  '2024-03-01',
  '2023-11-01',
  '2023-09-01',
];

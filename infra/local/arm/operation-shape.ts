/**
 * How Azure answers when work goes on after the answer, by type, as seen in recordings of real traffic.
 * `azure-async`: header Azure-AsyncOperation, polled 200 `{status, ...}`. `location`: header Location, polled 202
 * until it is 200. `both`: both headers, the Location being the same operation with `monitor=true`.
 */
export interface OperationShape {
  readonly status: 200 | 201 | 202;
  readonly poll: 'azure-async' | 'location' | 'both';
  /** The resource as it is now, or nothing. */
  readonly body: 'resource' | 'none';
  /** Last part of the poll URL's path: `operations`, `DiskOperations`, `asyncoperations`, `operationresults`. */
  readonly path: string;
  /** Poll answers carry `properties.output` (the resource, or what an action gives back). */
  readonly output: boolean;
  /** Poll answers carry startTime, endTime and name (Microsoft.Network gives only the status). */
  readonly times: boolean;
  /** Where the Location leads when that is not the same operation with `monitor=true`, and how it ends. */
  readonly locationPath?: string;
  readonly locationEnd?: 200 | 204;
  /** The resource is shown as Succeeded in the answer already, though an operation is announced. */
  readonly settled?: boolean;
}

export const machineCreate: OperationShape = shape(201, 'azure-async', 'resource', 'operations', false, true);
export const machineUpdate: OperationShape = shape(200, 'azure-async', 'resource', 'operations', false, true);
/** DELETE of a VM, and start, powerOff, deallocate, attachDetachDataDisks, ... */
export const machineAction: OperationShape = shape(202, 'both', 'none', 'operations', false, true);
export const diskPut: OperationShape = shape(202, 'both', 'resource', 'DiskOperations', true, true);
/** DELETE, beginGetAccess and endGetAccess of disks and snapshots. */
export const diskAction: OperationShape = shape(202, 'both', 'none', 'DiskOperations', true, true);
export const networkCreate: OperationShape = shape(
  201,
  'azure-async',
  'resource',
  'operations',
  false,
  false,
);
export const networkUpdate: OperationShape = shape(
  200,
  'azure-async',
  'resource',
  'operations',
  false,
  false,
);
/** Azure announces an operation and has done its work before it answers. */
export const networkCreateSettled: OperationShape = { ...networkCreate, settled: true };
export const networkUpdateSettled: OperationShape = { ...networkUpdate, settled: true };
export const networkDelete: OperationShape = {
  ...shape(202, 'both', 'none', 'operations', false, false),
  locationPath: 'operationResults',
  locationEnd: 204,
};
export const storagePut: OperationShape = shape(202, 'location', 'none', 'asyncoperations', false, false);
export const groupDelete: OperationShape = {
  ...shape(202, 'location', 'none', 'operationresults', false, false),
  locationPath: 'operationresults',
};

function shape(
  status: OperationShape['status'],
  poll: OperationShape['poll'],
  body: OperationShape['body'],
  path: string,
  output: boolean,
  times: boolean,
): OperationShape {
  return { status, poll, body, path, output, times };
}

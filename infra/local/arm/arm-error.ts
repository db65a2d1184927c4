/** What Azure answers when it refuses: status and `{"error":{"code","message","target","details"}}`. */
export interface ArmErrorDetail {
  readonly code: string;
  readonly message: string;
  readonly target?: string;
}

/** Thrown by the core and by behaviours; within a long-running operation it becomes the operation's error. */
export class ArmError extends Error {
  readonly status: number;
  readonly code: string;
  readonly target: string | undefined;
  readonly details: readonly ArmErrorDetail[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    target?: string,
    details: readonly ArmErrorDetail[] = [],
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.name = 'ArmError';
    this.status = status;
    this.code = code;
    this.target = target;
    this.details = details;
    this.headers = headers;
  }

  /** The inner part of the envelope. */
  toJSON(): ArmErrorDetail & { readonly details?: readonly ArmErrorDetail[] } {
    return {
      code: this.code,
      message: this.message,
      ...(this.target === undefined ? {} : { target: this.target }),
      ...(this.details.length === 0 ? {} : { details: this.details }),
    };
  }
}

/** What Local Azure does not do is said, by the operation's name; Azure would have done it. */
export function notImplemented(operation: string): ArmError {
  return new ArmError(
    501,
    'NotImplemented',
    `Local Azure does not do this: ${operation}. What it does is in infra/local/SPEC.md.`,
  );
}

export function resourceNotFound(type: string, name: string, resourceGroup: string): ArmError {
  return new ArmError(
    404,
    'ResourceNotFound',
    `The Resource '${type}/${name}' under resource group '${resourceGroup}' was not found. ` +
      'For more details please go to https://aka.ms/ARMResourceNotFoundFix',
  );
}

export function resourceGroupNotFound(name: string): ArmError {
  return new ArmError(404, 'ResourceGroupNotFound', `Resource group '${name}' could not be found.`);
}

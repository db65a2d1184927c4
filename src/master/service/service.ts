/**
 * The master's engine as a service of its system: started at boot, started again when it ends, ended with the system.
 * Promises: to install it once more is to update it; neither touches what the engine keeps; nothing else of the system
 * is changed, and no firewall, because the engine only dials out.
 */
export interface ServiceSpec {
  /** Node, and the program it runs. Full paths. */
  readonly node: string;
  readonly program: string;
  /** Of `standby engine master`. */
  readonly engineArguments: readonly string[];
  readonly stateFolder: string;
}

export interface ServiceState {
  readonly state: 'absent' | 'disabled' | 'stopped' | 'starting' | 'running';
  readonly name: string;
  /** What the system says besides, in a few words. */
  readonly detail: string;
}

export interface ServiceSystem {
  /** What would be written, or run, to install it. */
  print(spec: ServiceSpec): string;
  install(spec: ServiceSpec): Promise<ServiceState>;
  status(): Promise<ServiceState>;
  /** What the engine keeps stays where it is. */
  uninstall(): Promise<ServiceState>;
}

export function commandOf({ program, engineArguments }: ServiceSpec): string[] {
  return [program, 'engine', 'master', ...engineArguments];
}

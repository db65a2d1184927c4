/** How the engines copy; asked for by `standby run`. */
export interface SynchroniseOptions {
  readonly lanes: number;
  readonly compression: 'none' | 'zstd';
}

/** How an appliance VM gets its engine (docs/ARCHITECTURE.md, "First boot of an appliance"); infra/templates implements it. */
export interface FirstBoot {
  /** Builds (or finds already built) the bundle for this version. */
  bundle(): Promise<{ readonly file: string; readonly sha256: string }>;
  /** cloud-config text. */
  userData(facts: {
    readonly bundleUrl: string;
    readonly bundleSha256: string;
    /** PEM of the authority behind the bundle URL when it is not a public one. */
    readonly bundleCaPem?: string;
    readonly applianceId: string;
    readonly token: string;
    readonly caSha256: string;
  }): string;
}

/** What so many writes came to; a process of the bench prints it as its one document. */
export function throughputOf(facts: {
  readonly latenciesMs: number[];
  readonly tookSeconds: number;
  readonly changeBytes: number;
  readonly cpu: NodeJS.CpuUsage;
}) {
  const { latenciesMs, tookSeconds, changeBytes, cpu } = facts;
  latenciesMs.sort((a, b) => a - b);
  const at = (share: number) => latenciesMs[Math.floor(latenciesMs.length * share)] ?? Number.NaN;
  const perSecond = latenciesMs.length / tookSeconds;
  return {
    perSecond,
    mibPerSecond: (perSecond * changeBytes) / (1024 * 1024),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
  };
}

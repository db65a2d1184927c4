import { isoTime, timeText } from '../clock.ts';
import { isLiveCapture } from '../model/capture.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { ReplicaPoint } from '../wire/control-session.ts';
import type { Context } from './context.ts';
import { type LiveFigures, liveFigures, OLD_AFTER_MS } from './live-figures.ts';
import { type LiveLook, lookAt } from './live-look.ts';

/** What a switchover loses, before it is confirmed: only what is known, with the times by the master's clock. */
export interface LossStatement {
  /** For people, whole sentences. */
  readonly text: string;
  readonly point?: ReplicaPoint;
  readonly waitForJournals?: boolean;
  readonly lastReceived?: Position;
  readonly lastApplied?: Position;
  /** What the standby will have, as far as it is known before the seal. */
  readonly target?: Position;
  readonly master?: LiveFigures['master'];
  /** Known to be on the master and not here; absent when the master is not heard. */
  readonly notHere?: { readonly bytes: number; readonly changesAtMost: number };
  /** Received, and left out because nobody waits for them. */
  readonly leftOutChanges?: number;
  /** Of the disks, and of work by the master's clock; absent when the appliance does not say. */
  readonly leftOutBytes?: number;
  readonly leftOutSeconds?: number;
  readonly rpoSeconds: number | null;
}

interface Position {
  readonly sequence?: string;
  readonly at?: string;
  /** How old it is by the master's clock. */
  readonly ageSeconds?: number;
}

export interface Chosen {
  readonly point: ReplicaPoint;
  readonly waitForJournals: boolean;
  /** The time of a bookmark, when that is the point. */
  readonly pointAtMs?: number;
}

export async function lossOf(
  context: Context,
  scenario: Scenario,
  status: ScenarioStatus,
  chosen: Chosen,
): Promise<LossStatement> {
  if (!isLiveCapture(scenario.capture)) return { text: atRestText(status), rpoSeconds: null };
  return lossFrom(await lookAt(context, scenario), status, chosen);
}

/** What is lost is what the master did after the copy; at rest, nothing as long as it stayed switched off. */
function atRestText(status: ScenarioStatus): string {
  if (status.synchronisedAtMs === undefined) return 'No copy was ever finished.';
  return (
    `The standby will have the data of ${timeText(status.synchronisedAtMs)}. The master was copied at rest and is not ` +
    'being replicated: whatever it has written after that moment will not be there.'
  );
}

/** Pure. */
export function lossFrom(look: LiveLook, status: ScenarioStatus, chosen: Chosen): LossStatement {
  const figures = liveFigures(look, status.seen);
  const nowMs = masterNow(look);
  const position = (sequence: string | undefined, atMs: number | undefined): Position => ({
    ...(sequence === undefined ? {} : { sequence }),
    ...(atMs === undefined ? {} : { at: isoTime(atMs), ageSeconds: Math.max(0, (nowMs - atMs) / 1000) }),
  });
  const lastReceived = position(figures.receivedSequence, figures.receivedAtMs);
  const lastApplied = position(figures.appliedSequence, figures.appliedAtMs);
  const facts = {
    point: chosen.point,
    waitForJournals: chosen.waitForJournals,
    lastReceived,
    lastApplied,
    target: targetOf(chosen, lastReceived, lastApplied, position),
    master: figures.master,
    ...notHere(look, figures),
    ...leftOut(look, figures, chosen),
    rpoSeconds: figures.rpoSeconds,
  };
  return { ...facts, text: sentences(facts, figures, chosen).join(' ') };
}

/** The master's clock now, as well as it can be told from what it said last. */
function masterNow(look: LiveLook): number {
  if (!look.answered) return look.atMs;
  const { stream, heardAtMs } = look.progress.replication ?? {};
  if (!stream || heardAtMs === undefined) return look.atMs;
  return stream.masterClockMs + Math.max(0, look.atMs + look.clockDifferenceMs - heardAtMs);
}

function targetOf(
  { point, waitForJournals, pointAtMs }: Chosen,
  received: Position,
  applied: Position,
  position: (sequence: string | undefined, atMs: number | undefined) => Position,
): Position {
  if ('latest' in point) return waitForJournals ? received : applied;
  if ('timeMs' in point) return position(undefined, point.timeMs);
  return position('sequence' in point ? point.sequence : undefined, pointAtMs);
}

function notHere(look: LiveLook, figures: LiveFigures): Pick<LossStatement, 'notHere'> {
  const { stream, receivedSequence } = (look.answered && look.progress.replication) || {};
  if (!stream || receivedSequence === undefined || figures.old || figures.master !== 'connected') return {};
  const behind = BigInt(stream.lastSequence) - BigInt(receivedSequence);
  const changesAtMost = behind > 0n ? Number(behind) : 0;
  const spooled = changesAtMost > 0 ? stream.spooledBytes : 0;
  return { notHere: { bytes: spooled + stream.dirtyBytes, changesAtMost } };
}

type LeftOut = Pick<LossStatement, 'leftOutChanges' | 'leftOutBytes' | 'leftOutSeconds'>;

function leftOut(look: LiveLook, figures: LiveFigures, { point, waitForJournals }: Chosen): LeftOut {
  if (!look.answered || waitForJournals || !('latest' in point)) return {};
  const { unappliedChanges = 0, unappliedBytes } = look.progress.replication?.journal ?? {};
  const { receivedAtMs, appliedAtMs } = figures;
  const isKnown = receivedAtMs !== undefined && appliedAtMs !== undefined;
  return {
    leftOutChanges: unappliedChanges,
    ...(unappliedBytes === undefined ? {} : { leftOutBytes: unappliedBytes }),
    ...(isKnown && unappliedChanges > 0
      ? { leftOutSeconds: Math.max(0, (receivedAtMs - appliedAtMs) / 1000) }
      : {}),
  };
}

function sentences(
  loss: Omit<LossStatement, 'text'>,
  figures: LiveFigures,
  chosen: Chosen,
): readonly string[] {
  return [
    ...(figures.appliance === 'silent'
      ? [
          `The appliance does not answer (${figures.silentBecause}): what follows is what was heard of it last.`,
        ]
      : []),
    `Last change received: ${positionText(loss.lastReceived)}. Last position applied: ${positionText(loss.lastApplied)}.`,
    targetSentence(loss, chosen),
    masterSentence(loss, figures),
  ];
}

function positionText(position: Position | undefined): string {
  if (position?.sequence === undefined && position?.at === undefined) return 'not known';
  const at = position.at === undefined ? '' : ` of ${timeText(Date.parse(position.at))}`;
  const age =
    position.ageSeconds === undefined ? '' : `, ${ageText(position.ageSeconds)} old by the master's clock`;
  return `${position.sequence === undefined ? '' : `position ${position.sequence}`}${at}${age}`.trim();
}

function targetSentence(
  { target, ...left }: Omit<LossStatement, 'text'>,
  { point, waitForJournals }: Chosen,
): string {
  const age = target?.ageSeconds === undefined ? 'an unknown time' : ageText(target.ageSeconds);
  if ('bookmark' in point) {
    return `The standby will have the data of bookmark "${point.bookmark}" (${positionText(target)}): the last ${age} of work are given up.`;
  }
  if ('timeMs' in point || 'sequence' in point) {
    return `The standby will have the data of the last consistent position up to there (${positionText(target)}): the last ${age} of work are given up.`;
  }
  if (waitForJournals)
    return 'Everything received is applied before; the standby will have the data up to the last change received.';
  return leftOutSentence(left);
}

function leftOutSentence({ leftOutChanges, leftOutBytes, leftOutSeconds }: LeftOut): string {
  if (leftOutChanges === 0) return 'Nobody waits for the journal; just now all that was received is applied.';
  const amounts = [
    ...(leftOutBytes === undefined ? [] : [`${leftOutBytes} bytes`]),
    ...(leftOutSeconds === undefined ? [] : [`the last ${ageText(leftOutSeconds)} that were received`]),
  ];
  const amount = amounts.length > 0 ? ` (${amounts.join(', ')})` : '';
  return `Nobody waits for the journal: ${leftOutChanges ?? 'an unknown number of'} received changes${amount} that are not applied yet are left out.`;
}

function masterSentence({ notHere: missing }: Omit<LossStatement, 'text'>, figures: LiveFigures): string {
  if (missing) {
    if (missing.bytes === 0 && missing.changesAtMost === 0)
      return 'The master is still reachable, and what it has written is all here. What it writes from now on is lost, unless it is stopped first.';
    const there = `The master is still reachable; ${missing.bytes} bytes (at most ${missing.changesAtMost} changes) are not here yet`;
    return `${there}. What it writes from now on is lost too, unless it is stopped first.`;
  }
  const heard = figures.masterHeardAtMs;
  const since = heard === undefined ? '' : ` It was last heard at ${timeText(heard)}.`;
  const most = figures.rpoSeconds === null ? '' : ` That is at most ${ageText(figures.rpoSeconds)} of work.`;
  return `The master is not heard${figures.old ? ` for more than ${OLD_AFTER_MS / 1000} s` : ''}, so nobody can tell what it has written that is not here.${since}${most}`;
}

function ageText(seconds: number): string {
  if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

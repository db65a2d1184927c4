import { X509Certificate } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import { z } from 'zod';
import { readStateJson, writeStateFile } from '../block/state-file.ts';
import type { Clock } from '../clock.ts';
import { StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import { roleOfCertificate } from '../wire/certificates.ts';
import type { Connection } from '../wire/connection.ts';
import type { PendingJoin } from '../wire/control-session.ts';
import { sameProof } from '../wire/enrolment.ts';
import { LIMITS } from '../wire/limits.ts';
import { type Params, pendingJoinSchema, type Result } from '../wire/messages.ts';

/**
 * Join tokens that control offered, masters that presented one and wait, certificates to hand over.
 * Promises: a token works once and not after its time; the appliance never holds the token itself, only its SHA-256.
 * Each change is on disk before it is answered; dying at any line leaves the offers as they were told to somebody.
 */
const offersSchema = z.array(
  z.object({
    tokenId: z.string(),
    tokenSha256: z.string(),
    expiresAtMs: z.number(),
    pending: pendingJoinSchema.optional(),
    granted: z.object({ masterId: z.string(), certificatePem: z.string() }).optional(),
  }),
);
type Offer = z.infer<typeof offersSchema>[number];

/** A dead offer is remembered a while, so that its holder is told why it is dead. */
const REMEMBER_MS = 7 * 24 * 3600 * 1000;

export class Joins {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #caPem: string;
  readonly #events = new EventEmitter().setMaxListeners(0);
  #offers: Offer[] = [];

  private constructor(options: { stateFolder: string; clock: Clock; log: Log; caPem: string }) {
    this.#path = join(options.stateFolder, 'joins.json');
    this.#clock = options.clock;
    this.#log = options.log;
    this.#caPem = options.caPem;
  }

  static async load(options: { stateFolder: string; clock: Clock; log: Log; caPem: string }): Promise<Joins> {
    const joins = new Joins(options);
    joins.#offers = (await readStateJson(joins.#path, offersSchema)) ?? [];
    return joins;
  }

  async offer(given: Params<'offerJoin'>): Promise<void> {
    const now = this.#clock.now();
    const kept = this.#offers.filter(
      (offer) => offer.expiresAtMs + REMEMBER_MS > now && offer.tokenId !== given.tokenId,
    );
    const same = this.#offers.find((offer) => offer.tokenId === given.tokenId);
    if (kept.length >= LIMITS.joinOffers) {
      kept.sort((a, b) => a.expiresAtMs - b.expiresAtMs).shift();
    }
    await this.#save([...kept, { ...same, ...given }]);
  }

  pending(): PendingJoin[] {
    return this.#offers.flatMap((offer) =>
      offer.pending && !offer.granted && offer.expiresAtMs > this.#clock.now() ? [offer.pending] : [],
    );
  }

  async grant(given: Params<'grantJoin'>): Promise<void> {
    const offer = this.#offers.find((candidate) => candidate.tokenId === given.tokenId);
    if (!offer?.pending) {
      throw new StandbyError({
        code: 'JOIN_UNKNOWN',
        what: 'No master waits with this token.',
        kind: 'input',
      });
    }
    const certificate = new X509Certificate(given.certificatePem);
    const identity = roleOfCertificate(certificate);
    const ours = certificate.verify(new X509Certificate(this.#caPem).publicKey);
    if (!ours || identity?.role !== 'master' || identity.id !== given.masterId) {
      throw new StandbyError({
        code: 'CERTIFICATE_WRONG',
        what: 'This is not a certificate for that master.',
      });
    }
    const { masterId, certificatePem } = given;
    await this.#replace({ ...offer, granted: { masterId, certificatePem } });
    this.#events.emit(given.tokenId);
  }

  /** A master presents its token and waits. The same call again goes on waiting: a cut connection costs nothing. */
  async join(params: Params<'join'>, connection: Connection): Promise<Result<'join'>> {
    const offer = this.#offers.find((candidate) => candidate.tokenId === params.tokenId);
    if (!offer || !sameProof(offer.tokenSha256, params.tokenSha256)) {
      connection.drop('its join token is unknown here');
      throw new StandbyError({ code: 'TOKEN_UNKNOWN', what: 'The token is unknown.' });
    }
    const isSame = offer.pending?.requestPem === params.requestPem;
    if (offer.granted && !isSame) throw this.#dead('TOKEN_USED', 'This join token was used.');
    if (!offer.granted && offer.expiresAtMs <= this.#clock.now()) {
      throw this.#dead('TOKEN_EXPIRED', 'This join token has expired.');
    }
    connection.prove();
    // The proof is over the inventory too: a command given again with other disks counts.
    if (!offer.granted && offer.pending?.proof !== params.proof) await this.#park(offer, params);
    const granted = await this.#granted(params.tokenId, params.waitMs, connection.signal);
    return granted ? { state: 'granted', ...granted, caPem: this.#caPem } : { state: 'waiting' };
  }

  async #park(offer: Offer, params: Params<'join'>): Promise<void> {
    if (!offer.pending && this.pending().length >= LIMITS.pendingJoins) {
      throw new StandbyError({
        code: 'TOO_MANY_JOINS',
        what: 'Too many masters wait to join.',
        next: 'Run `standby master list` on control, then try again.',
        retry: 'later',
      });
    }
    const { tokenId, requestPem, proof, inventory } = params;
    await this.#replace({ ...offer, pending: { tokenId, requestPem, proof, inventory } });
    this.#log.info('a master waits to join', { hostName: inventory.hostName });
  }

  async #granted(tokenId: string, waitMs: number, signal: AbortSignal): Promise<Offer['granted']> {
    const find = () => this.#offers.find((offer) => offer.tokenId === tokenId)?.granted;
    const found = find();
    if (found) return found;
    const over = new AbortController();
    const stop = AbortSignal.any([over.signal, signal]);
    const wake = () => over.abort();
    this.#events.once(tokenId, wake);
    await this.#clock.sleep(waitMs, stop).catch(() => undefined); // Granted, or nobody waits any more.
    this.#events.off(tokenId, wake);
    return find();
  }

  #dead(code: string, what: string): StandbyError {
    this.#log.warn('join refused', { reason: what });
    return new StandbyError({
      code,
      what,
      next: 'Run `standby master token` on control and join with the new one.',
    });
  }

  #replace(offer: Offer): Promise<void> {
    return this.#save(this.#offers.map((other) => (other.tokenId === offer.tokenId ? offer : other)));
  }

  async #save(offers: Offer[]): Promise<void> {
    this.#offers = offers;
    await writeStateFile(this.#path, JSON.stringify(offers));
  }
}

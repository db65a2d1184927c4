/** A question as data: the same one makes a prompt, a flag, a key of an answers file and, later, a form field. */
export interface Choice {
  readonly value: string;
  readonly label: string;
  /** Shown, but not to be chosen: the reason. */
  readonly disabled?: string;
}

export interface Question {
  /** Key in the answers, camelCase. Its flag is the same in kebab-case: `clientSecret` is `--client-secret`. */
  readonly name: string;
  readonly kind: 'text' | 'secret' | 'select' | 'multiselect' | 'confirm' | 'number';
  readonly message: string;
  readonly hint?: string;
  /** Shown before the prompt: a warning or what to have ready. */
  readonly before?: string;
  readonly default?: unknown;
  /** A `confirm` that cannot be taken back: the cursor begins on no, so that Enter alone loses nothing. */
  readonly cautious?: boolean;
  readonly choices?: readonly Choice[];
  /** A `select` whose answer may also be something that is not listed; says what, e.g. `a new resource group`. */
  readonly other?: string;
  /** No flag carries it (a secret never comes through argv); `from` says how it comes unattended. */
  readonly noFlag?: { readonly from: string };
  /** There is no screen before it: going back means to leave. */
  readonly first?: boolean;
  /** May be left empty. */
  readonly optional?: boolean;
  /** What is wrong with a value, as a sentence with what to do; undefined when it is right. */
  validate?(value: unknown): string | undefined;
}

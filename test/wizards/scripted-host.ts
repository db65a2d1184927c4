import type { Question } from '../../src/model/question.ts';
import type { Answer, Host, Notice } from '../../src/ports/host.ts';

/** A person whose every answer is written down before; what was asked and told is kept. Running out of answers fails. */
export interface ScriptedHost extends Host {
  readonly asked: Question[];
  readonly told: Notice[];
  readonly left: () => number;
}

export const BACK = Symbol('back');

export function scriptedHost(script: readonly unknown[]): ScriptedHost {
  const asked: Question[] = [];
  const told: Notice[] = [];
  const answers = [...script];
  return {
    interactive: true,
    signal: new AbortController().signal,
    asked,
    told,
    left: () => answers.length,
    tell: (notice) => void told.push(notice),
    async ask(question): Promise<Answer> {
      asked.push(question);
      if (answers.length === 0)
        throw new Error(`Nothing was scripted for ${question.name}: ${question.message}`);
      const next = answers.shift();
      return next === BACK ? { kind: 'back' } : { kind: 'value', value: next };
    },
  };
}

export function toldText(told: readonly Notice[]): string {
  return told.map((notice) => ('text' in notice ? notice.text : JSON.stringify(notice))).join('\n');
}

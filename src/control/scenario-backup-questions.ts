import {
  BACKUP_DEFAULTS,
  BACKUP_KEEP_MAX,
  BACKUP_MINUTES_MAX,
  type BackupSettings,
  backupProblem,
  timeOfDayProblem,
  windowProblem,
} from '../model/backup.ts';
import type { Answers } from '../ports/host.ts';
import { type Screen, textOf } from './screen.ts';

/** The backup of the standby after a switchover (H-01 to H-18): when, beside which others, and how many are kept. */
const isWanted = (answers: Answers): boolean => answers.backupAfterSwitchover === true;
const { minutes: MINUTES, keep: KEEP } = BACKUP_DEFAULTS;

const wholeNumber = (max: number) => (value: unknown) =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= max
    ? undefined
    : `A whole number from 1 to ${max}.`;

export const backupScreens: readonly Screen[] = [
  {
    name: 'backupAfterSwitchover',
    question: () => ({
      name: 'backupAfterSwitchover',
      kind: 'confirm',
      message: "Back up the standby's disks after a switchover?",
      hint: 'full snapshots, in a process of its own: nothing waits for it',
      default: false,
    }),
  },
  {
    name: 'backupMinutes',
    needs: ['backupAfterSwitchover'],
    when: isWanted,
    question: () => ({
      name: 'backupMinutes',
      kind: 'number',
      message: 'Minutes that such a backup may take',
      default: MINUTES,
      validate: wholeNumber(BACKUP_MINUTES_MAX),
    }),
  },
  {
    name: 'backupWindow',
    needs: ['backupAfterSwitchover', 'backupMinutes'],
    when: isWanted,
    question: (answers) => ({
      name: 'backupWindow',
      kind: 'text',
      message: 'Daily hours of other backups of this server',
      hint: 'like 01:00-05:30, by this machine’s clock; the backup never overlaps them; empty: none',
      optional: true,
      validate: (value) => windowProblem(textOf(value), settingsOf(answers).minutes),
    }),
  },
  {
    name: 'backupAt',
    needs: ['backupAfterSwitchover', 'backupMinutes', 'backupWindow'],
    when: isWanted,
    question: (answers) => ({
      name: 'backupAt',
      kind: 'text',
      message: 'Not before which time of day',
      hint: 'like 22:30, by this machine’s clock; empty: at once',
      optional: true,
      validate: (value) =>
        timeOfDayProblem(textOf(value)) ?? backupProblem({ ...settingsOf(answers), at: textOf(value) }),
    }),
  },
  {
    name: 'backupKeep',
    needs: ['backupAfterSwitchover'],
    when: isWanted,
    question: () => ({
      name: 'backupKeep',
      kind: 'number',
      message: 'How many backups are kept',
      default: KEEP,
      validate: wholeNumber(BACKUP_KEEP_MAX),
    }),
  },
];

function settingsOf(answers: Answers): BackupSettings {
  const [at, window] = [textOf(answers.backupAt), textOf(answers.backupWindow)];
  return {
    ...(at ? { at } : {}),
    ...(window ? { window } : {}),
    minutes: Number(answers.backupMinutes ?? MINUTES),
    keep: Number(answers.backupKeep ?? KEEP),
  };
}

export function backupFromAnswers(answers: Answers): { readonly backup?: BackupSettings } {
  return isWanted(answers) ? { backup: settingsOf(answers) } : {};
}

export function answersOfBackup({ backup }: { readonly backup?: BackupSettings }): Answers {
  if (!backup) return { backupAfterSwitchover: false };
  const { at, window, minutes, keep } = backup;
  return {
    backupAfterSwitchover: true,
    ...(at === undefined ? {} : { backupAt: at }),
    ...(window === undefined ? {} : { backupWindow: window }),
    backupMinutes: minutes,
    backupKeep: keep,
  };
}

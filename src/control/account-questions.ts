import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Clock, isoTime, systemClock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { daysUntil } from '../model/account.ts';
import type { Question } from '../model/question.ts';
import type { Answers } from '../ports/host.ts';

/** What a person fills in to register a service principal: the five fields of the guide, the optional date, the cloud. */
export interface AccountAnswers {
  readonly name: string;
  readonly subscriptionId: string;
  readonly tenantId: string;
  readonly applicationId: string;
  readonly clientSecret: string;
  readonly secretExpiresOn?: string;
  readonly environment?: string;
  readonly resourceManagerUrl?: string;
  readonly authorityUrl?: string;
  /** Path of a PEM file; its text is kept with the account. */
  readonly caFile?: string;
}

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const DATE = /^\d{4}-\d{2}-\d{2}$/;

export const HAVE_READY = [
  'Have ready, from the Azure portal (an app registration must exist first: Microsoft Entra ID, App registrations):',
  '  - the subscription ID            (Subscriptions)',
  '  - the tenant ID                  (App registrations, your app, Overview: Directory (tenant) ID)',
  '  - the application ID             (same page: Application (client) ID)',
  '  - a client secret, its Value     (your app, Certificates & secrets)',
  '  - a role for the app on the subscription (Access control (IAM)), e.g. Contributor',
].join('\n');

export const SECRET_WARNING =
  'The secret can be read only right after it was made. Later the portal shows **** and it cannot be copied: ' +
  'then make a new one. Copy the Value column, not the Secret ID.';

const text = (value: unknown): string => (typeof value === 'string' ? value.trim() : '');

/** The questions that make sense with the answers so far; the custom cloud's own come only for a custom cloud. */
export function accountQuestions(answers: Answers = {}, clock: Clock = systemClock): readonly Question[] {
  return [
    emailQuestion,
    environmentQuestion,
    ...(text(answers.environment) === 'custom' ? customCloudQuestions : []),
    ...identifierQuestions(answers),
    secretQuestion,
    expiryQuestion(clock),
  ];
}

const emailQuestion: Question = {
  name: 'name',
  kind: 'text',
  message: 'Account e-mail',
  hint: 'the e-mail registered with Azure; the account is listed by it',
  before: HAVE_READY,
  validate: (value) =>
    /^[^\s@]+@[^\s@]+$/.test(text(value))
      ? undefined
      : 'This is not an e-mail address. Give the one registered with Azure, like ops@example.com.',
};

const environmentQuestion: Question = {
  name: 'environment',
  kind: 'select',
  message: 'Azure cloud',
  default: 'public',
  choices: [
    { value: 'public', label: 'Azure (public)' },
    { value: 'us-government', label: 'Azure US Government' },
    { value: 'china', label: 'Azure China' },
    { value: 'custom', label: 'Another cloud, by URL (for example Local Azure)' },
  ],
  validate: (value) =>
    ['public', 'us-government', 'china', 'custom'].includes(text(value))
      ? undefined
      : 'There is no such cloud. Choose public, us-government, china or custom.',
};

const customCloudQuestions: readonly Question[] = [
  {
    name: 'resourceManagerUrl',
    kind: 'text',
    message: 'Resource Manager URL',
    hint: 'https://...; that of Local Azure is printed by: standby local up',
    validate: httpsProblem,
  },
  {
    name: 'authorityUrl',
    kind: 'text',
    message: 'Sign-in (authority) URL',
    hint: 'https://...; where tokens are issued',
    validate: httpsProblem,
  },
  {
    name: 'caFile',
    kind: 'text',
    message: 'CA certificate file (PEM)',
    hint: 'leave empty when a public authority signed the cloud’s certificates',
    optional: true,
    validate: (value) => (text(value) === '' ? undefined : caFileProblem(text(value))),
  },
];

function httpsProblem(value: unknown): string | undefined {
  if (URL.canParse(text(value)) && new URL(text(value)).protocol === 'https:') return undefined;
  return 'This is not an https:// URL. Secrets are sent there, so nothing else is accepted.';
}

/** A sentence when the file cannot serve as a CA; the file is small and read at once. */
function caFileProblem(file: string): string | undefined {
  try {
    new X509Certificate(readFileSync(file));
    return undefined;
  } catch (error) {
    return `${file} cannot be used as a CA certificate (${messageOf(error)}). Give the path of a PEM file.`;
  }
}

function identifierQuestions(answers: Answers): readonly Question[] {
  return [
    {
      name: 'subscriptionId',
      kind: 'text',
      message: 'Subscription ID',
      hint: 'portal: Subscriptions',
      validate: (value) => guidProblem('subscription ID', value),
    },
    {
      name: 'tenantId',
      kind: 'text',
      message: 'Tenant ID',
      hint: 'app registration, Overview: Directory (tenant) ID',
      validate: (value) =>
        guidProblem('tenant ID', value) ??
        sameProblem('tenant ID', value, 'subscription ID', answers.subscriptionId),
    },
    {
      name: 'applicationId',
      kind: 'text',
      message: 'Application ID',
      hint: 'same page: Application (client) ID',
      validate: (value) =>
        guidProblem('application ID', value) ??
        sameProblem('application ID', value, 'tenant ID', answers.tenantId) ??
        sameProblem('application ID', value, 'subscription ID', answers.subscriptionId),
    },
  ];
}

function guidProblem(what: string, value: unknown): string | undefined {
  if (GUID.test(text(value))) return undefined;
  return `This is not a ${what}: it looks like 8a1c5e2f-0000-0000-0000-1234567890ab (a GUID). Copy it from the portal.`;
}

function sameProblem(what: string, value: unknown, otherName: string, other: unknown): string | undefined {
  if (text(other) === '' || text(value).toLowerCase() !== text(other).toLowerCase()) return undefined;
  return (
    `The ${what} is the same as the ${otherName}. They are two different values; on the app’s Overview page ` +
    'the Application (client) ID stands first and the Directory (tenant) ID below it.'
  );
}

const secretQuestion: Question = {
  name: 'clientSecret',
  kind: 'secret',
  message: 'Client secret (value)',
  before: SECRET_WARNING,
  noFlag: { from: '--client-secret-stdin or STANDBY_CLIENT_SECRET' },
  validate: (value) => {
    if (text(value) === '')
      return 'The client secret is empty. Paste the Value column of Certificates & secrets.';
    if (!GUID.test(text(value))) return undefined;
    return 'This looks like the secret’s ID; copy the Value column of Certificates & secrets.';
  },
};

function expiryQuestion(clock: Clock): Question {
  return {
    name: 'secretExpiresOn',
    kind: 'text',
    message: 'The secret expires on (YYYY-MM-DD)',
    hint: 'column Expires in Certificates & secrets; leave empty if unknown',
    optional: true,
    validate: (value) => (text(value) === '' ? undefined : dateProblem(text(value), clock)),
  };
}

function dateProblem(date: string, clock: Clock): string | undefined {
  const atMs = DATE.test(date) ? Date.parse(`${date}T00:00:00Z`) : Number.NaN;
  // 2026-02-30 parses in some engines as a day in March: the day must come back as it was written.
  if (Number.isNaN(atMs) || isoTime(atMs).slice(0, 10) !== date) {
    return 'This is not a date. Write it as YYYY-MM-DD, for example 2027-06-24.';
  }
  if (daysUntil(date, clock.now()) >= 0) return undefined;
  return `The secret ended on ${date}. Make a new one under Certificates & secrets and copy its Value.`;
}

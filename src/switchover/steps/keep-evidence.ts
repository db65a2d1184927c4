/**
 * Promises that what the drill's VM wrote on its serial console, and a picture of its screen, are kept beside the report.
 * Only reads in Azure; what may not be read, or is not there, is no failure of the drill, and the report says so. Dying at
 * any line is repaired by reading and writing it again.
 */
import { isStandbyError, messageOf } from '../../errors.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import type { Work } from '../work.ts';

export const KEEP_EVIDENCE = 'keep-evidence';

export interface KeptFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface Evidence {
  readonly serialLog?: KeptFile;
  /** Why there is none. */
  readonly without?: string;
  readonly picture?: KeptFile;
  readonly withoutPicture?: string;
}

export function keepEvidenceStep(
  work: Work,
  vmIdOf: (context: StepContext) => string,
  keep: (name: string, content: string | Uint8Array) => Promise<KeptFile>,
): Step<Evidence> {
  return {
    id: KEEP_EVIDENCE,
    title: 'Keep what it wrote on its console, and what its screen shows',
    actions: actionsOf('machines.serialLog', 'machines.screenshot'),
    async run(context) {
      const { machines } = work.cloud;
      const log = await readingOf(
        () => machines.serialLog(vmIdOf(context)),
        'Azure has no console of it yet',
        'the console could not be read',
      );
      const picture = await pictureOf(work, vmIdOf(context));
      return {
        ...('content' in log
          ? { serialLog: await keep('serial.log', log.content) }
          : { without: log.without }),
        ...('content' in picture
          ? { picture: await keep(`screen.${picture.kind}`, picture.content) }
          : { withoutPicture: picture.without }),
      };
    },
  };
}

type Reading<Content> = { readonly content: Content } | { readonly without: string };

async function readingOf<Content>(
  read: () => Promise<Content | undefined>,
  absent: string,
  failing: string,
): Promise<Reading<Content>> {
  try {
    const content = await read();
    return content === undefined ? { without: absent } : { content };
  } catch (error) {
    if (!isStandbyError(error)) throw error;
    return { without: `${failing}: ${messageOf(error)}` };
  }
}

/** How image files begin. Azure's name for it says bmp, whatever it is. */
const PICTURES = { png: '89504e470d0a1a0a', jpg: 'ffd8ff', bmp: '424d' } as const;

async function pictureOf(
  work: Work,
  vmId: string,
): Promise<{ readonly content: Uint8Array; readonly kind: string } | { readonly without: string }> {
  const read = await readingOf(
    () => work.cloud.machines.screenshot(vmId),
    'Azure has no picture of its screen',
    'the picture could not be read',
  );
  if ('without' in read) return read;
  const begin = Buffer.from(read.content).subarray(0, 8).toString('hex');
  const found = Object.entries(PICTURES).find(([, magic]) => begin.startsWith(magic));
  return found
    ? { content: read.content, kind: found[0] }
    : { without: `what Azure gave is no picture (it begins with ${begin || 'nothing'})` };
}

/** The capture methods, by name; each is one file under src/capture/. */
export const CAPTURE_METHODS = ['at-rest', 'nbd', 'compare', 'tracked'] as const;
export type CaptureName = (typeof CAPTURE_METHODS)[number];

/** Those a scenario can use. */
export const CAPTURE_NAMES = CAPTURE_METHODS satisfies readonly CaptureName[];

/** A live method follows the master after the copy; without one the copy is of something that stands still. */
export function isLiveCapture(name: CaptureName): boolean {
  return name !== 'at-rest';
}

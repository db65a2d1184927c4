/** The capture methods, by name; each is one file under src/capture/. */
export const CAPTURE_NAMES = ['at-rest'] as const;
export type CaptureName = (typeof CAPTURE_NAMES)[number];

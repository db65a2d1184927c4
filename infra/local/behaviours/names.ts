/** Disks, snapshots and most of the network: 1 to 80 letters, digits and `_ . -`; not every sign at the ends. */
export const USUAL_NAME = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$/;

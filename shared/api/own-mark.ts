import { group } from './group.ts';

/**
 * The field that everything bears which we send to another system; its value names the Observation. Such a system may
 * send us what it was told, so a source drops whatever has this field: no loop can form.
 */
export const ownMark = `${group}/observation`;

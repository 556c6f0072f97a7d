// Choices that are numbers in a row, such as 0 to 10: a slider says more, and takes less room, than eleven buttons.

const LEAST_ON_A_SCALE = 5; // of fewer, buttons are quicker

/** Whether the choices are whole numbers, each one more than the one before. */
function isScale(replies) {
  const numbers = replies.map(({ value }) => (/^-?\d{1,3}$/.test(value) ? Number(value) : NaN));
  return numbers.length >= LEAST_ON_A_SCALE && numbers.every((number, index) => number === numbers[0] + index);
}

/**
 * A slider over `replies`, and a button that sends the chosen number. It stands in the middle and says nothing until it is
 * touched, so that nobody answers by accident. `choose(value)` is called with the number; `words` as in Thread.
 */
class Scale {
  constructor(replies, words, choose) {
    this.words = words;
    const [low, high] = [replies[0], replies.at(-1)].map(({ value }) => Number(value));
    this.input = h('input', {
      type: 'range', min: low, max: high, step: 1, value: Math.round((low + high) / 2),
      oninput: () => this.chosen(), onclick: () => this.chosen(),
      onkeydown: ({ key }) => key === 'Enter' && this.number !== undefined && choose(this.number),
    });
    this.send = button({ class: 'send-number', onclick: () => choose(this.number) });
    this.value = h('span', { class: 'number', 'aria-hidden': 'true' }, '–');
    this.node = h(
      'div', { class: 'scale' },
      h('div', { class: 'ends', 'aria-hidden': 'true' }, h('span', {}, String(low)), this.value, h('span', {}, String(high))),
      this.input, this.send,
    );
    this.speak();
  }

  chosen() {
    this.number = this.input.value;
    say(this.value, this.number);
    this.speak();
  }

  /** In the language of `words`. */
  speak() {
    const { t, language } = this.words;
    this.node.lang = language;
    this.input.setAttribute('aria-label', t('scale_label'));
    say(this.send, this.number === undefined ? t('scale_label') : t('send_number').replace('{number}', this.number));
    this.able(!this.input.disabled);
  }

  able(able) {
    this.input.disabled = !able;
    this.send.disabled = !able || this.number === undefined;
  }
}

-- Finding products by words.

-- A word is kept as the Spanish stem of its English stem: one key a word, the same for singular and plural in both
-- languages, which a search intersects in half the time that two keys a word take. Stop words of both are left out.
CREATE OR REPLACE FUNCTION search_vector(p_text text) RETURNS tsvector
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN to_tsvector('plaza.words_es', coalesce(
        (SELECT string_agg(w.lexeme, ' ' ORDER BY place)
         FROM unnest(to_tsvector('plaza.words_en', p_text)) AS w
         CROSS JOIN unnest(w.positions) AS place), ''));
END $$;

-- What a user typed, with quotes, "or" and "-" as search engines have them; anything else is words. A "-" in front of
-- nothing is no operator: the parser fails on many of them. The places of words that the first pass left out are
-- closed up, as they are in the vector.
CREATE OR REPLACE FUNCTION search_query(p_text text) RETURNS tsquery
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    pass text;
BEGIN
    IF strpos(p_text, '-') > 0 THEN
        p_text := regexp_replace(p_text, '-+(?!"?[[:alnum:]])', ' ', 'g');
    END IF;
    pass := websearch_to_tsquery('plaza.words_en', p_text)::text;
    IF strpos(pass, '<') > 0 THEN
        pass := regexp_replace(pass, '<\d+>', '<->', 'g');
    END IF;
    RETURN to_tsquery('plaza.words_es', pass);
END $$;

-- The words of a text as they are corrected and completed: without accents, of three letters or more.
CREATE OR REPLACE FUNCTION search_words(p_text text) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE ROWS 8 AS $$
    SELECT m[1] FROM regexp_matches(lower(plaza.unaccent(p_text)), '[[:alnum:]]{3,40}', 'g') AS m
$$;

-- The letters of a word in order: the same for two words with letters that changed places.
CREATE OR REPLACE FUNCTION search_letters(p_word text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_to_string(ARRAY(SELECT l FROM regexp_split_to_table(p_word, '') AS l ORDER BY l COLLATE "C"), '')
$$;

-- Keeps the list of words that stand in titles. In order, so that two titles with the same words do not wait for each
-- other in a circle.
CREATE OR REPLACE FUNCTION search_words_added() RETURNS trigger
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    INSERT INTO search_word AS s (word, letters, n)
    SELECT w.word, search_letters(w.word), count(*)
    FROM added AS a
    CROSS JOIN search_words(a.title) AS w (word)
    GROUP BY w.word
    ORDER BY w.word
    ON CONFLICT (word) DO UPDATE SET n = s.n + excluded.n;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER product_words_added AFTER INSERT ON product REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION search_words_added();

CREATE OR REPLACE FUNCTION search_words_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    INSERT INTO search_word AS s (word, letters, n)
    SELECT w.word, search_letters(w.word), 1
    FROM (SELECT search_words(NEW.title) EXCEPT SELECT search_words(OLD.title)) AS w (word)
    ORDER BY w.word
    ON CONFLICT (word) DO UPDATE SET n = s.n + 1;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER product_words_changed AFTER UPDATE OF title ON product
    FOR EACH ROW WHEN (OLD.title <> NEW.title) EXECUTE FUNCTION search_words_changed();

-- The nearest word of any title: one with the same letters, else the most similar by its trigrams. A short word with
-- one wrong letter keeps too few of them for their index; then words of like length with the same first letter are
-- compared.
CREATE OR REPLACE FUNCTION search_nearest(p_word text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    near text;
BEGIN
    SELECT s.word INTO near
    FROM search_word AS s
    WHERE s.letters = search_letters(p_word)
    ORDER BY similarity(s.word, p_word) DESC, s.n DESC, s.word
    LIMIT 1;
    IF near IS NULL THEN
        SELECT s.word INTO near
        FROM search_word AS s
        WHERE s.word % p_word
        ORDER BY similarity(s.word, p_word) DESC, s.n DESC, s.word
        LIMIT 1;
    END IF;
    IF near IS NULL THEN
        SELECT s.word INTO near
        FROM search_word AS s
        WHERE s.word >= left(p_word, 1) AND s.word < left(p_word, 1) || U&'\+10FFFF' COLLATE "C"
          AND length(s.word) BETWEEN length(p_word) - 1 AND length(p_word) + 1
          AND similarity(s.word, p_word) >= 0.2
        ORDER BY similarity(s.word, p_word) DESC, s.n DESC, s.word
        LIMIT 1;
    END IF;
    RETURN near;
END $$;

-- For a search that found nothing: its words with those that no title has replaced by near ones; NULL when there is
-- nothing to correct. Only the first eight words are looked at.
CREATE OR REPLACE FUNCTION search_correct(p_text text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    words text[] := ARRAY(SELECT w FROM search_words(p_text) AS w LIMIT 8);
    right_words text[];
BEGIN
    SELECT array_agg(coalesce(s.word, search_nearest(w.word), w.word) ORDER BY w.place) INTO right_words
    FROM unnest(words) WITH ORDINALITY AS w (word, place)
    LEFT JOIN search_word AS s ON s.word = w.word;
    RETURN CASE WHEN right_words IS DISTINCT FROM words THEN array_to_string(right_words, ' ') END;
END $$;

-- What a user may be about to type: the last word completed by those of titles, the most frequent first; if there is
-- none, the text corrected.
CREATE OR REPLACE FUNCTION search_suggest(p_text text, p_limit int) RETURNS SETOF text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    typed text := lower(plaza.unaccent(p_text));
    begun text := substring(typed FROM '[[:alnum:]]{2,40}$');
    head  text := left(typed, length(typed) - length(begun));
BEGIN
    RETURN QUERY
        SELECT head || s.word
        FROM search_word AS s
        WHERE s.word >= begun AND s.word < begun || U&'\+10FFFF' COLLATE "C"
        ORDER BY s.n DESC, s.word
        LIMIT p_limit;
    IF NOT FOUND THEN
        RETURN QUERY SELECT c FROM search_correct(typed) AS c WHERE c IS NOT NULL;
    END IF;
END $$;

GRANT EXECUTE ON FUNCTION search_query(text), search_words(text), search_letters(text), search_nearest(text),
    search_correct(text), search_suggest(text, int) TO plaza_web;

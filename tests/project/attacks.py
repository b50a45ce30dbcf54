"""The list of attacks on tokens, authorization servers, exchange and egress, each with the tests that show its defence.

A test is named `part/module::test`; every name is checked by `test_attacks`.
"""

from tests.project.attacks_in_task import IN_TASK
from tests.project.attacks_on_endings import ENDINGS

VALIDATORS = {
    "alg none in any spelling, empty, missing, a list": (
        "identity/test_verification::test_another_algorithm_is_refused",
        "identity/test_verification::test_alg_none_with_any_signature_is_refused",
        "identity/test_signature_flaws::test_a_text_that_says_it_is_not_signed_is_refused",
    ),
    "HMAC keyed by what is public: PEM, DER, JWK, thumbprint": (
        "identity/test_signature_flaws::test_no_form_of_a_public_key_is_a_secret",
        "identity/test_verification::test_the_public_key_as_hmac_secret_is_refused",
    ),
    "an algorithm that is not on the issuer's list; RS256's key with PS256": (
        "identity/test_signature_flaws::test_a_true_signature_is_accepted_by_every_algorithm_that_is_allowed",
        "identity/test_signature_flaws::test_one_rsa_key_keeps_pkcs1_and_pss_apart",
        "identity/test_verification::test_a_key_for_one_algorithm_is_not_used_with_another",
    ),
    "a key of another type or curve": (
        "identity/test_signature_flaws::test_a_signature_by_another_primitive_is_refused",
        "identity/test_verification::test_another_curve_is_refused",
        "identity/test_key_flaws::test_a_key_that_says_it_lies_on_another_curve_verifies_nothing",
    ),
    "ES256 of zero, out of range, in DER": (
        "identity/test_signature_flaws::test_ecdsa_numbers_that_are_none_are_refused",
        "identity/test_verification::test_a_signature_that_is_no_number_of_the_curve_is_refused",
    ),
    "ES256 with a high s: two signatures of one token": (
        "identity/test_signature_flaws::"
        "test_the_other_half_of_an_ecdsa_signature_is_as_good_so_that_nothing_may_rest_on_its_bytes",
        "identity/test_confusion::test_the_other_signature_of_the_same_proof_is_the_same_proof",
        "identity/test_confusion::test_the_other_signature_of_the_same_token_is_the_same_right",
    ),
    "ModifiedPadding: base64url in every segment, PKCS #1, PSS": (
        "identity/test_signature_flaws::test_padding_in_any_segment_is_refused",
        "identity/test_signature_flaws::test_a_loose_pkcs1_encoding_is_refused",
        "identity/test_signature_flaws::test_a_loose_pss_encoding_is_refused",
    ),
    "ModifiedSignature: bits, bytes, length, number, truncation": (
        "identity/test_signature_flaws::test_a_modified_signature_is_refused_at_every_byte",
        "identity/test_signature_flaws::test_a_damaged_text_is_refused_wherever_the_damage_is",
        "identity/test_signature_flaws::test_rsa_numbers_that_are_none_are_refused",
    ),
    "DuplicateKid, MixedKeySet": (
        "identity/test_key_flaws::test_a_key_id_used_twice_verifies_nothing_whichever_comes_first",
        "identity/test_key_flaws::test_a_set_that_mixes_secrets_and_public_keys_verifies_nothing",
    ),
    "weak keys: short RSA, ROCA, odd exponents, short secrets, Ed25519 of small order": (
        "identity/test_key_flaws::test_a_short_rsa_key_verifies_nothing",
        "identity/test_key_flaws::test_a_key_of_the_roca_flaw_verifies_nothing",
        "identity/test_key_flaws::test_an_rsa_exponent_that_is_none_verifies_nothing",
        "identity/test_key_flaws::test_an_rsa_exponent_that_is_weak_or_takes_long_verifies_nothing",
        "identity/test_dpop::test_a_proof_that_would_take_long_to_check_is_not_checked",
        "identity/test_key_flaws::test_a_secret_shorter_than_the_hash_verifies_nothing",
        "identity/test_key_flaws::test_an_ed25519_key_of_small_order_under_which_anybody_signs_verifies_nothing",
        "identity/test_dpop::test_an_ed25519_key_under_which_anybody_makes_proofs_is_refused",
    ),
    "keys for another use, or published with their private half": (
        "identity/test_key_flaws::test_a_key_for_something_else_verifies_nothing",
        "identity/test_key_flaws::test_a_key_whose_private_half_is_published_verifies_nothing",
    ),
    "keys with modified members": (
        "identity/test_key_flaws::test_a_member_in_a_second_spelling_or_of_another_kind_verifies_nothing",
        "identity/test_key_flaws::test_a_point_that_is_not_on_the_curve_verifies_nothing",
    ),
    "jwk, jku, x5u, x5c, x5t pointing at an attacker": (
        "identity/test_verification::test_a_header_with_more_than_needed_is_refused",
        "identity/test_verification::test_an_attackers_key_in_the_header_is_refused",
        "identity/test_jwks_wire::test_keys_of_another_issuer_named_by_an_attacker_in_the_token_are_never_fetched",
    ),
    "kid as path, SQL, NUL, URL, integer, immense": (
        "identity/test_verification::test_a_key_id_that_names_no_key_of_the_issuer_is_refused",
        "identity/test_signature_flaws::test_a_key_id_that_is_there_and_is_none_is_never_overlooked",
    ),
    "crit unknown, empty, repeated, of a registered name; b64; zip; cty": (
        "identity/test_verification::test_a_header_with_more_than_needed_is_refused",
        "identity/test_signature_flaws::test_a_critical_extension_is_refused_even_where_its_name_is_tolerated",
        "identity/test_confusion::test_a_token_within_a_token_is_not_unpacked",
    ),
    "JWE for JWS, JSON serialization, other forms": (
        "identity/test_verification::test_what_is_no_compact_jws_is_refused",
        "identity/test_signature_flaws::test_json_serialization_is_refused_as_text_and_as_object",
    ),
    "repeated members, BOM, UTF-16, lone surrogates, NUL": (
        "identity/test_verification::test_repeated_members_are_refused",
        "identity/test_verification::test_other_encodings_are_refused",
        "identity/test_verification_claims::test_a_name_that_is_none_is_refused",
    ),
    "NaN, Infinity, 1e30, strings, booleans and negatives as times": (
        "identity/test_verification_claims::test_a_time_that_is_none_is_refused",
    ),
    "9 kB, 130 kB, 10 MB; 5,000 deep": (
        "identity/test_verification::test_a_token_that_is_too_long_is_refused",
        "identity/test_verification::test_an_act_claim_nested_five_thousand_deep_is_refused",
    ),
    "act of six, in a circle, of no object": (
        "identity/test_verification_claims::test_an_actor_chain_that_is_none_or_too_long_is_refused",
        "identity/test_confusion::test_an_actor_that_comes_twice_is_history_and_no_right",
    ),
    "two Authorization headers; a token in the address or the body": (
        "identity/test_ingress::test_two_authorization_headers_are_refused",
        "identity/test_ingress::test_a_token_in_the_address_is_refused",
        "identity/test_ingress::test_a_token_in_the_body_is_not_looked_for",
    ),
    "iss: slash, case, port, prefix, list; the other issuer's own valid token": (
        "identity/test_verification_claims::test_another_issuer_is_refused",
        "identity/test_verifier::test_a_token_of_the_other_issuer_with_its_own_valid_signature_is_refused",
    ),
    "one kid at two issuers": (
        "identity/test_jwks::test_two_issuers_with_the_same_key_id_keep_their_own_keys",
        "identity/test_verifier::test_two_trusted_issuers_do_not_vouch_for_each_other",
    ),
    "aud: missing, another, list, substring, case, client_id": (
        "identity/test_verification_claims::test_a_token_for_another_audience_is_refused",
    ),
    "the bank's token at the company, the company's at the bank": (
        "mcp_servers/test_real_tokens::test_the_companys_token_moves_no_money",
        "server/test_token_exchange::test_other_kinds_of_token_are_refused",
    ),
    "every kind of token in every other place": (
        "identity/test_confusion::test_a_token_of_one_kind_is_good_in_its_own_place_only",
        "identity/test_confusion::test_no_token_is_a_proof",
        "identity/test_confusion::test_no_proof_is_a_token",
        "server/test_hostile_authorization::test_an_access_token_or_id_token_is_no_client_assertion",
        "server/test_hostile_authorization::test_a_client_assertion_is_no_access_token",
    ),
    "edges of time: exp now, 29 and 31 s of skew, the future, too long a life": (
        "identity/test_verification_claims::test_times_are_kept_to_the_second",
    ),
    "revoked or rotated out while remembered": (
        "identity/test_verifier::test_a_revoked_token_is_forgotten_on_demand",
        "identity/test_jwks_wire::test_a_key_that_is_withdrawn_takes_what_was_remembered_along",
        "identity/test_jwks_wire::test_keys_are_rotated_without_a_refusal_and_the_old_one_ends_with_its_set",
    ),
    "the person is gone mid-task": ("server/test_hostile_exchange::test_a_person_who_is_not_known_any_more_is_nobody",),
    "scope as list, empty, lookalike, prefix; scp; roles taken for scopes": (
        "identity/test_verification_claims::test_a_scope_that_is_malformed_is_refused",
        "identity/test_confusion::test_what_only_looks_like_a_scope_gives_no_right",
    ),
    "a flood of 10,000 unknown key ids": (
        "identity/test_jwks_wire::test_ten_thousand_unknown_key_ids_cost_one_request",
        "identity/test_jwks::test_a_flood_of_unknown_key_ids_causes_one_fetch_a_cool_down",
    ),
    "keys that are slow, huge, redirected, failing, 10,000, private": (
        "identity/test_jwks_wire::test_a_slow_issuer_is_given_up",
        "identity/test_jwks_wire::test_a_hundred_megabytes_are_not_read",
        "identity/test_jwks_wire::test_a_redirect_is_not_followed",
        "identity/test_jwks_wire::test_an_issuer_that_fails_is_unavailable_and_no_fault_of_the_token",
        "identity/test_jwks_wire::test_what_is_no_key_set_is_unusable",
        "identity/test_jwks_wire::test_a_published_private_key_is_not_used",
    ),
    "stale while away, and not for ever": (
        "identity/test_jwks_wire::test_an_issuer_that_is_away_is_bridged_for_an_hour_and_no_longer",
    ),
    "metadata of another issuer": ("identity/test_jwks_wire::test_lying_metadata_leads_nowhere",),
    "DPoP: ath, htu, htm, iat, replay, jkt, downgrade, private key": (
        "identity/test_dpop::test_a_proof_without_its_tokens_digest_is_refused",
        "identity/test_dpop::test_a_proof_made_for_another_request_is_refused",
        "identity/test_dpop::test_a_stale_or_a_future_proof_is_refused",
        "identity/test_dpop::test_a_replayed_proof_is_refused",
        "identity/test_binding::test_a_stolen_token_with_the_thiefs_own_proof_is_of_no_use",
        "identity/test_binding::test_a_bound_token_is_not_downgraded_to_a_bearer_token",
        "identity/test_dpop::test_a_proof_that_carries_its_private_key_is_refused",
    ),
    "anything at all": (
        "identity/test_hostile_fuzz::test_an_edited_token_passes_only_if_the_edits_cancel_out",
        "identity/test_hostile_fuzz::test_any_header_over_any_payload_gives_a_verdict",
        "identity/test_hostile_fuzz::test_any_key_set_gives_a_verdict_and_never_a_crash",
        "identity/test_hostile_fuzz::test_any_proof_gives_a_verdict_and_never_a_crash",
        "identity/test_verification_fuzz::test_whatever_is_signed_only_invalid_token_is_raised",
    ),
}

AUTHORIZATION_SERVER = {
    "PKCE: none, plain, stripped, by public and confidential clients": (
        "server/test_authorization_code::test_no_pkce_or_a_weak_one_is_refused",
        "server/test_hostile_authorization::test_stripping_the_challenge_downgrades_nobody",
    ),
    "verifier: length, alphabet, missing, the challenge itself, another login's": (
        "server/test_hostile_authorization::test_a_verifier_that_is_none_redeems_nothing",
        "server/test_hostile_authorization::test_the_challenge_itself_is_no_verifier",
        "server/test_hostile_authorization::test_the_verifier_of_one_login_does_not_redeem_the_code_of_another",
    ),
    "code: replayed, another client's, at another address, expired": (
        "server/test_authorization_code::test_a_replayed_code_revokes_everything_issued_from_it",
        "server/test_authorization_code::test_a_code_is_not_redeemed_by_another_client",
        "server/test_authorization_code::test_a_code_is_not_redeemed_at_another_redirect_uri",
        "server/test_authorization_code::test_an_expired_code_is_refused",
        "server/test_hostile_authorization::test_a_code_for_one_address_is_not_redeemed_with_the_other",
    ),
    "code: redeemed many times at once": (
        "server/test_hostile_authorization::test_of_fifty_redemptions_at_once_one_wins_and_what_it_won_is_taken_back",
    ),
    "redirect_uri: any spelling but the registered one; absent with two": (
        "server/test_authorization_code::test_a_redirect_uri_that_is_not_exactly_registered_is_never_followed",
        "server/test_hostile_authorization::test_no_spelling_of_a_redirect_uri_is_followed_but_the_registered_one",
        "server/test_hostile_authorization::test_with_two_registered_addresses_none_is_taken_for_granted",
    ),
    "errors before the address is known; iss; state exact and bounded; 303": (
        "server/test_authorization_code::test_an_unknown_client_is_never_redirected",
        "server/test_authorization_code::test_every_response_names_the_issuer_and_echoes_the_state_exactly",
        "server/test_hostile_authorization::test_a_state_without_end_is_refused_and_not_reflected",
        "server/test_hostile_authorization::test_after_a_form_the_browser_is_sent_on_without_it",
    ),
    "repeated parameters, everywhere": (
        "server/test_hostile_authorization::test_a_repeated_parameter_is_refused_at_every_endpoint",
        "server/test_hostile_authorization::test_a_repeated_parameter_is_refused_on_every_page",
        "server/test_authorization_code::test_a_repeated_parameter_is_refused_and_not_redirected",
    ),
    "parameters in the address of a POST; content type; 1 MB": (
        "server/test_bad_input::test_parameters_in_the_query_of_a_post_are_refused",
        "server/test_bad_input::test_a_wrong_content_type_is_refused",
        "server/test_bad_input::test_a_megabyte_is_refused",
    ),
    "two ways to authenticate; a secret in the address": (
        "server/test_hostile_authorization::test_a_second_way_to_say_who_one_is_is_refused",
        "server/test_hostile_authorization::test_a_secret_in_the_address_or_in_basic_form_is_refused",
    ),
    "client assertion: replay, audience, subject, life, algorithm, depth, another's key": (
        "server/test_client_authentication::test_a_replayed_assertion_is_refused",
        "server/test_client_authentication::test_an_assertion_with_wrong_claims_is_refused",
        "server/test_client_authentication::test_an_assertion_for_two_audiences_is_refused",
        "server/test_client_authentication::test_an_assertion_with_another_clients_key_is_refused",
        "server/test_client_authentication::test_an_unsigned_assertion_is_refused",
        "server/test_client_authentication::test_a_deep_or_broken_assertion_is_a_client_error_not_a_crash",
    ),
    "PAR: used twice, another client's, expired, external, overridden": (
        "server/test_payment_consent::test_a_pushed_request_is_used_once",
        "server/test_hostile_authorization::test_of_parallel_uses_of_a_pushed_request_one_opens",
        "server/test_payment_consent::test_a_pushed_request_belongs_to_its_client",
        "server/test_payment_consent::test_a_pushed_request_expires",
        "server/test_authorization_code::test_an_external_request_uri_is_never_fetched",
        "server/test_hostile_authorization::test_a_pushed_request_points_nowhere_itself",
        "server/test_payment_consent::test_parameters_beside_a_pushed_request_change_nothing",
    ),
    "consent: CSRF, framing, another session, changed details, silence": (
        "server/test_payment_consent::test_approving_without_the_forms_token_is_refused",
        "server/test_hostile_authorization::test_a_form_without_origin_or_from_a_sandbox_is_refused",
        "server/test_pages::test_the_policy_lets_a_form_go_to_us_and_to_the_validated_client_only",
        "server/test_payment_consent::test_another_browser_cannot_open_or_answer_the_page",
        "server/test_hostile_authorization::test_what_one_person_s_sign_in_settled_is_asked_again_of_the_next",
        "server/test_payment_consent::test_a_form_about_other_details_is_refused",
        "server/test_payment_consent::test_silence_is_no_consent",
    ),
    "consent: taken for another client, person or audience": (
        "server/test_hostile_authorization::test_a_consent_to_one_client_is_none_to_another",
        "server/test_hostile_authorization::test_a_consent_of_one_person_is_none_of_another",
        "server/test_hostile_authorization::test_a_consent_at_one_audience_is_none_at_another_of_the_same_word",
    ),
    "refresh: reuse, scope, audience, another client; cascade": (
        "server/test_refresh::test_a_reused_refresh_token_ends_the_family",
        "server/test_refresh::test_a_widened_scope_is_refused",
        "server/test_refresh::test_another_client_cannot_use_it",
        "server/test_hostile_authorization::"
        "test_a_refresh_never_widens_the_audience_and_cascades_to_what_was_exchanged",
    ),
    "introspection by others": (
        "server/test_revocation::test_introspection_answers_only_the_service_that_the_token_is_for",
    ),
    "registration: internal addresses, keys by URL, a URL as client": (
        "server/test_registration::test_unacceptable_metadata_is_refused",
        "server/test_hostile_authorization::"
        "test_a_forged_client_address_in_metadata_or_a_client_id_that_is_one_is_not_fetched",
    ),
    "what is public": (
        "server/test_hostile_authorization::test_what_is_public_may_be_cached_and_holds_nothing_private",
    ),
    "a full or locked database": (
        "server/test_hostile_load::test_a_locked_database_is_told_as_busy_and_nothing_is_lost",
        "server/test_hostile_load::test_requests_that_strangers_begin_are_bounded_and_the_newest_goes_on",
    ),
}

EXCHANGE = {
    "subject token: false, of another kind, issuer, session, or one's own exchanged one": (
        "server/test_hostile_exchange::test_a_subject_token_that_is_not_true_here_and_now_is_refused",
        "server/test_hostile_exchange::test_the_type_that_is_claimed_is_the_one_that_is_taken",
        "server/test_token_exchange::test_other_kinds_of_token_are_refused",
        "server/test_token_exchange::test_a_token_without_a_record_is_refused",
        "server/test_hostile_exchange::test_a_token_of_another_session_than_its_record_is_refused",
        "server/test_hostile_exchange::test_a_token_that_one_obtained_by_exchange_is_not_one_s_to_exchange",
    ),
    "subject token: expired, revoked, after logout": (
        "server/test_token_exchange::test_the_result_never_outlives_the_subject_token",
        "server/test_token_exchange::test_a_revoked_token_and_what_came_from_it_are_not_exchanged",
        "server/test_token_exchange::test_after_logout_nothing_is_exchanged",
    ),
    "error texts that tell what stands in the token": (
        "server/test_hostile_exchange::test_no_refusal_quotes_the_token_that_it_refuses",
    ),
    "requester: not in the audience, public, without the grant": (
        "server/test_token_exchange::test_a_token_that_was_not_sent_to_the_requester_is_refused",
        "server/test_token_exchange::test_the_public_client_exchanges_nothing",
        "server/test_hostile_exchange::test_a_client_without_the_grant_exchanges_nothing",
    ),
    "actor: another's token, the subject itself, not in may_act": (
        "server/test_hostile_exchange::test_no_actor_token_is_taken_not_even_a_true_one",
        "server/test_hostile_exchange::test_a_subject_that_is_the_actor_itself_is_no_person",
        "server/test_token_exchange::test_may_act_is_honoured",
        "server/test_hostile_exchange::test_a_may_act_that_does_not_name_the_requester_is_a_refusal",
    ),
    "wider scope or audience; rights from the history of actors": (
        "server/test_token_exchange::test_at_the_same_audience_a_scope_is_never_widened",
        "server/test_hostile_exchange::test_no_spelling_of_a_scope_widens_it",
        "server/test_hostile_exchange::test_the_scope_of_the_subject_token_gives_nothing_elsewhere",
        "server/test_hostile_exchange::test_the_history_of_actors_gives_no_right",
    ),
    "an audience unknown, doubled or in conflict; another type requested": (
        "server/test_token_exchange::test_an_unknown_or_ambiguous_audience_is_refused",
        "server/test_token_exchange::test_an_unusual_exchange_is_refused",
    ),
    "chain: too long, forged, shortened, in a loop": (
        "server/test_token_exchange::test_a_chain_of_more_than_five_actors_is_refused",
        "server/test_token_exchange::test_claims_sent_by_the_requester_change_nothing",
        "server/test_hostile_exchange::test_the_actors_before_are_kept_and_none_is_added",
        "server/test_token_exchange::test_a_loop_of_actors_is_refused",
        "server/test_hostile_exchange::test_a_loop_is_found_however_far_back_it_began",
    ),
    "acr, auth_time inflated or lost": (
        "server/test_hostile_exchange::test_the_strength_of_the_login_is_neither_inflated_nor_lost",
        "server/test_hostile_exchange::test_no_claim_can_be_asked_for",
    ),
    "authorization_details widened, dropped, merged": (
        "server/test_hostile_exchange::test_a_token_for_one_operation_is_not_exchanged_for_anything",
        "server/test_hostile_exchange::test_details_sent_along_are_in_no_token",
    ),
    "cnf lost": ("server/test_dpop::test_bound_stays_bound_through_an_exchange_and_to_the_next_key",),
    "txn changed, dropped, of another task": (
        "server/test_token_exchange::test_the_task_is_set_once_and_never_changed",
        "server/test_hostile_exchange::test_the_task_of_a_token_is_not_dropped_by_saying_nothing",
        "egress/test_hop::test_a_call_of_one_task_cannot_go_on_for_another",
    ),
    "replay under load; a cache that answers with another's token": (
        "server/test_hostile_exchange::test_a_hundred_exchanges_at_once_give_everybody_their_own",
        "server/test_hostile_exchange::test_a_revocation_amid_a_hundred_exchanges_ends_every_one_of_them",
        "egress/test_exchange::test_a_token_never_crosses_to_another_party",
        "egress/test_hop::test_a_weaker_token_of_the_same_login_does_not_get_what_a_stronger_one_got",
    ),
}

EGRESS = {
    "inbound Authorization, Cookie, X-Forwarded-* passed on": (
        "egress/test_egress::test_what_a_caller_adds_of_its_own_is_taken_off",
        "egress/test_hostile_egress::test_nothing_of_the_request_before_is_passed_on",
        "identity/test_ingress::test_a_forged_word_of_a_gateway_reaches_no_app",
    ),
    "a token beyond its scheme, host, port and path": (
        "egress/test_egress::test_a_token_never_leaves_for_another_origin",
        "egress/test_hostile_egress::test_no_step_upward_leaves_the_path_of_the_audience",
    ),
    "redirects": (
        "egress/test_egress::test_no_redirect_takes_the_token_along",
        "egress/test_hostile_egress::test_a_redirect_within_the_origin_or_out_of_it_is_the_caller_s_to_see",
    ),
    "userinfo, trailing dot, punycode, mapped IPv6, octal, short forms, absolute form, Host": (
        "egress/test_hostile_egress::test_no_spelling_of_another_place_gets_the_token",
        "egress/test_hostile_egress::test_an_absolute_path_or_a_second_host_is_no_way_around",
        "identity/test_addresses::test_every_spelling_of_an_address_is_seen_through",
    ),
    "CRLF, pseudo-headers, proxies of the environment": (
        "egress/test_hostile_egress::test_a_header_that_is_none_splits_no_request",
        "egress/test_hostile_egress::test_a_line_break_in_a_url_splits_no_request",
        "egress/test_egress::test_a_proxy_of_the_environment_never_sees_a_token",
    ),
    "http downgrade": (
        "egress/test_plain_http::test_no_token_is_asked_for_or_sent_in_the_clear",
        "egress/test_plain_http::test_an_issuer_in_the_clear_is_never_shown_a_token",
        "identity/test_jwks::test_an_issuer_on_https_never_has_its_keys_on_plain_http",
    ),
    "requests forged by discovery, keys and token endpoints": (
        "identity/test_addresses::test_a_public_issuer_leads_to_nothing_that_is_near_to_us",
        "identity/test_addresses::"
        "test_a_public_issuer_leads_to_https_only_and_to_nothing_that_two_parsers_read_differently",
        "identity/test_jwks_wire::test_lying_metadata_leads_nowhere",
    ),
    "requests forged by what is registered, or by a push": (
        "broker/test_registry::test_an_address_where_nothing_can_be_is_refused",
        "server/test_admin::test_an_unacceptable_audience_is_refused",
        "agents/test_parking::test_a_receiver_that_the_authorization_server_does_not_know_is_not_told",
    ),
    "a token echoed in logs, errors, reprs, records": (
        "egress/test_hostile_egress::test_the_token_shows_in_no_log_however_loud",
        "egress/test_hop::test_no_token_is_in_the_journal",
        "journeys/test_leaks::test_no_page_answer_export_or_output_holds_a_token",
    ),
    "a callee that gives the token back": (
        "egress/test_echo::test_a_tool_that_gives_the_token_back_has_its_answer_kept_from_everybody",
        "egress/test_echo::test_an_agents_reply_that_holds_the_token_is_not_passed_on",
        "egress/test_echo::test_an_answer_that_is_none_is_quoted_nowhere",
        "egress/test_rogue_agent::test_an_agents_refusal_that_holds_the_token_is_not_passed_on",
        "egress/test_rogue_agent::test_what_is_no_answer_is_told_as_one_and_quoted_nowhere",
        "egress/test_rogue_agent::test_an_answer_that_the_sdk_cannot_read_is_quoted_in_no_log",
    ),
    "an answer without end, or one that unpacks to gigabytes": (
        "egress/test_hostile_answers::test_an_answer_without_end_is_cut_off",
        "egress/test_hostile_answers::test_a_bomb_is_not_unpacked",
        "egress/test_hostile_answers::test_a_providers_bomb_is_not_unpacked_either",
        "egress/test_rogue_agent::test_a_server_that_answers_what_nobody_asked_holds_nobody_up",
    ),
    "one tool's credential for another, one person's for another": (
        "egress/test_hostile_egress::test_one_tool_s_credential_is_not_used_for_another",
        "egress/test_hostile_egress::test_a_thousand_calls_at_once_on_one_client_never_swap_people",
        "egress/test_hostile_egress::test_a_task_that_outlives_its_hop_keeps_only_what_it_was_started_with",
        "egress/test_egress::test_no_cookie_of_one_call_travels_with_the_next",
    ),
    "a target that nobody registered, or registered without the right": (
        "egress/test_hostile_egress::test_a_target_that_the_registry_does_not_name_gets_no_token_and_no_request",
        "server/test_admin::test_letting_people_s_tokens_go_to_a_service_is_a_right_of_its_own",
        "server/test_admin::test_the_right_to_delegate_alone_adds_nothing",
        "broker/test_allow_list::test_a_target_without_an_edge_is_never_planned_with",
        "broker/test_validation::test_a_borrowed_identity_is_refused",
    ),
}

ATTACKS = {
    "validators": VALIDATORS,
    "authorization server": AUTHORIZATION_SERVER,
    "exchange": EXCHANGE,
    "egress": EGRESS,
    "in the task": IN_TASK,
    "endings": ENDINGS,
}

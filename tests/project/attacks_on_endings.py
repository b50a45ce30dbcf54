"""The list of attacks by who goes on after a sign-out or a revocation, or signs others out; as in `attacks`."""

ENDINGS = {
    "going on: with a token that was taken back, at any hop": (
        "journeys/test_revocation::test_a_token_that_was_taken_back_is_refused_at_every_hop",
        "identity/test_backchannel_logout::test_the_end_of_a_session_reaches_every_hop_and_no_other_session",
        "identity/test_security_events::test_a_revoked_session_ends_at_every_hop_and_the_person_s_others_do_not",
        "identity/test_polled_events::test_what_one_service_fetches_ends_at_every_hop",
        "providers/test_keycloak_endings::test_a_sign_out_at_keycloak_closes_the_page_and_every_door_within_seconds",
    ),
    "going on: with a token that names no session, or was given while the word was on its way": (
        "identity/test_backchannel_logout::test_a_token_that_names_no_session_ends_with_any_of_its_person_s",
        "identity/test_security_events::test_what_was_given_between_the_event_and_its_telling_ends_as_well",
    ),
    "going on: by an exchange at an issuer that has not heard of it": (
        "identity/test_backchannel_logout::test_nobody_goes_on_in_the_stead_of_who_signed_out_though_the_issuer_might_exchange",
    ),
    "going on: after a restart, or at a service that started later": (
        "identity/test_backchannel_logout::test_a_service_that_starts_later_knows_who_signed_out_before",
        "server/test_logout_notices::test_a_restart_loses_no_notice",
    ),
    "going on: with an open stream": (
        "identity/test_streams::test_a_stream_ends_with_its_token_and_the_app_is_told_that_its_caller_went",
        "identity/test_streams::test_a_token_that_was_revoked_while_the_answer_was_made_opens_no_stream",
        "agents/test_streams::test_the_streams_of_a_login_that_was_taken_back_end",
        "agents/test_streams::test_a_stream_of_mcp_ends_with_the_token_that_opened_it",
    ),
    "going on: in a browser that was left open": (
        "web/test_endings::test_whoever_signs_out_at_the_provider_is_signed_out_of_the_page",
        "web/test_endings::test_an_open_page_is_told_and_nothing_is_kept_of_the_session",
        "agents/test_consent::test_a_browser_whose_person_signed_out_at_the_provider_is_asked_who_it_is",
    ),
    "going on: under so many revocations that one gets lost": (
        "server/test_revocations::test_what_is_one_too_many_to_be_named_is_still_revoked",
        "server/test_revocations::test_mass_revocation_ten_thousand_at_once_fit_one_reading_that_covers_them_all",
        "identity/test_notebook::test_what_is_one_too_many_to_be_kept_by_name_is_still_over",
    ),
    "signing others out: by a word that is forged, of another kind, for another, or too old": (
        "identity/test_feed::test_a_false_feed_is_not_believed",
        "identity/test_backchannel_logout::test_whatever_is_no_logout_token_is_refused_and_ends_nothing",
        "identity/test_security_events::test_whatever_is_no_event_is_refused_by_its_code_and_ends_nothing",
        "identity/test_polled_events::test_what_is_no_event_is_told_by_its_code_and_ends_nothing",
    ),
    "signing others out: by a word that was heard before": (
        "identity/test_backchannel_logout::test_a_replayed_logout_token_is_refused_at_every_service",
    ),
    "signing others out: another issuer's people, or as another transmitter": (
        "identity/test_security_events::test_a_transmitter_of_its_own_speaks_for_the_issuer_s_people",
        "identity/test_security_events::test_a_transmitter_that_does_not_show_what_was_agreed_is_refused",
    ),
    "flooding the doors": (
        "identity/test_backchannel_logout::test_an_issuer_that_may_not_tell_costs_no_request_and_a_flood_of_key_ids_one",
        "identity/test_backchannel_logout::test_a_body_that_is_no_form_with_one_token_is_refused",
    ),
    "leading the issuer, or us, elsewhere by an address": (
        "server/test_logout_notices::test_an_address_that_is_not_to_be_posted_to_is_refused",
        "server/test_logout_notices::test_a_public_issuer_posts_to_nothing_that_is_near_to_it",
        "server/test_logout_notices::test_a_redirect_is_not_followed",
        "identity/test_feed::test_a_feed_elsewhere_is_not_followed",
        "identity/test_polled_events::test_an_answer_that_is_none_does_no_harm",
    ),
}
